# SPDX-License-Identifier: Apache-2.0
"""Rows 1 to 4 of the fault matrix by time: SIGKILL at random instants."""
import time

from case import Case


def kill_agent(trial):
    time.sleep(trial.random.uniform(0.05, 0.6))
    trial.edge.kill()
    since = time.monotonic()
    trial.edge.start()
    trial.recovered(since)


def kill_shared(part_of):
    """Of a process that all agents share."""
    def inject(trial):
        part = part_of(trial.fleet.stack)
        time.sleep(trial.random.uniform(0.05, 0.6))
        part.kill()
        since = time.monotonic()
        time.sleep(trial.random.uniform(0, 0.2))
        part.start()
        trial.recovered(since)
    return inject


CASES = [
    Case("agent-kill", "1", 200, "the agent is killed at random instants", kill_agent, edges=2),
    Case("hub-kill", "2, 4", 150, "the hub, and with it its SQLite, is killed at random instants",
         kill_shared(lambda stack: stack.hub), alone=True),
    Case("broker-kill", "3", 100, "the hub's broker, without persistence, is killed", kill_shared(lambda stack: stack.hub_broker),
         alone=True),
    Case("site-broker-kill", "3", 20, "the site's broker is killed", kill_shared(lambda stack: stack.site), alone=True),
]

// SPDX-License-Identifier: Apache-2.0
/// bench_flood PORT QOS RATE TOPICS SECONDS: publishes {"temperature":10,"humidity":90} in turn on
/// TOPICS topics bench/<n>; RATE messages a second, evenly each millisecond, 0: as fast as the
/// broker takes them. Prints how many it sent.
#include "tests/bench/support.hpp"

#include <cstdio>
#include <cstdlib>

int main(int argc, char** argv) {
  using namespace lapwing::bench;
  if (argc != 6) give_up("usage: bench_flood PORT QOS RATE TOPICS SECONDS");
  Publisher publisher(static_cast<std::uint16_t>(std::atoi(argv[1])));
  const int qos = std::atoi(argv[2]);
  const double rate = std::atof(argv[3]);
  std::vector<Packet> packets;
  for (int i = 0; i < std::atoi(argv[4]); ++i) {
    packets.push_back({"bench/" + std::to_string(i), R"({"temperature":10,"humidity":90})"});
  }
  const double begin = seconds_now();
  const double end = begin + std::atof(argv[5]);
  std::uint64_t sent = 0;
  double time = begin;
  for (; time < end; time = seconds_now()) {
    const std::uint64_t due =
        rate > 0 ? static_cast<std::uint64_t>((time - begin) * rate) : sent + 64;
    if (due <= sent) {
      sleep_for(0.001);
      continue;
    }
    for (; sent < due; ++sent) publisher.add(packets[sent % packets.size()], qos);
    publisher.flush();
  }
  publisher.finish();
  std::printf("%llu\n", static_cast<unsigned long long>(sent));
}

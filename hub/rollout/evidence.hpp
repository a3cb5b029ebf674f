// SPDX-License-Identifier: Apache-2.0
/// How much two small counts say about the rates behind them.
#pragma once

#include <cstdint>

namespace lapwing::hub::rollout {

/// The evidence, natural logarithm, that events of the first kind come at a higher rate than those
/// of the second, given `first` and `second` of them in exposures (rows) `first_rows` and
/// `second_rows`; 0 where there are none.
///
/// Given their sum, the first of two Poisson counts is binomial with p = rate share (Przyborowski
/// and Wilenski, Biometrika 1940). The evidence is the likelihood of what was seen, averaged over
/// all p above that of equal rates, over its likelihood at equal rates. Under rates that are equal,
/// or lower for the first, its expectation is at most 1 however often one looks, so it reaches E
/// with probability 1/E at most (Ville 1939; Robbins, Ann. Math. Statist. 1970): looking every few
/// seconds costs nothing. For counts of one stage beside the other that holds at every look; where
/// the second count is from before, at any one look.
/// Events that come together in both kinds make it err on the quiet side.
[[nodiscard]] double log_evidence_of_more(std::uint64_t first, std::uint64_t first_rows,
                                          std::uint64_t second, std::uint64_t second_rows);

}  // namespace lapwing::hub::rollout

// SPDX-License-Identifier: Apache-2.0
/// The one list of detectors: configuration, `lapwing-agent detectors`, documents and the contract
/// suite read it. A new kind is a folder beside this file and one line here.
#pragma once

#include "shared/detect/auto/kind.hpp"
#include "shared/detect/auto_group/kind.hpp"
#include "shared/detect/auto_rows/kind.hpp"
#include "shared/detect/ewma/kind.hpp"
#include "shared/detect/halfspace_trees/kind.hpp"
#include "shared/detect/isolation_forest/kind.hpp"
#include "shared/detect/kind.hpp"
#include "shared/detect/knn/kind.hpp"
#include "shared/detect/local_outlier_factor/kind.hpp"
#include "shared/detect/matrix_profile/kind.hpp"
#include "shared/detect/one_class_svm/kind.hpp"
#include "shared/detect/pca/kind.hpp"
#include "shared/detect/seasonal/kind.hpp"

#include <array>
#include <string_view>

namespace lapwing::detect {

inline constexpr std::array kKinds{
    // One stream, online.
    kAutoStream,
    kEwma,
    kHalfspaceTreesStream,
    kMatrixProfile,
    kSeasonal,
    // Groups, online.
    kAutoGroup,
    kHalfspaceTreesGroup,
    // Rows, trained.
    kAutoRows,
    kIsolationForest,
    kKnn,
    kLocalOutlierFactor,
    kOneClassSvm,
    kPca,
};

/// nullptr when there is no such kind for that input.
[[nodiscard]] const Kind* find_kind(std::string_view name, Input input = Input::stream) noexcept;

/// The kind that readings as they come may be scored by: one for that input, or for a group one for
/// rows, which is then trained on the warm-up (make_live). nullptr when there is none.
[[nodiscard]] const Kind* find_live_kind(std::string_view name, Input input) noexcept;

}  // namespace lapwing::detect

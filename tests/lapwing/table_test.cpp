// SPDX-License-Identifier: Apache-2.0
#include "lapwing/table.hpp"

#include <gtest/gtest.h>

#include <sstream>

namespace lapwing::cli {
namespace {

TEST(Table, AlignsNumbersRightAndTextLeft) {
  Table table({{"NAME"}, {"COUNT", true}});
  table.add({"a", "1"});
  table.add({"longer", "1234"});
  EXPECT_EQ(table.text(0), "NAME    COUNT\na           1\nlonger   1234\n");
}

TEST(Table, FitsTheTerminalByCuttingTheWidestColumns) {
  Table table({{"ONE", false, 4}, {"KEPT", false, 0}, {"TWO", false, 4}});
  table.add({std::string(50, 'a'), "0123456789", std::string(30, 'b')});
  for (const std::size_t width : {94U, 60U, 40U, 22U}) {
    std::istringstream lines(table.text(width));
    for (std::string line; std::getline(lines, line);) EXPECT_LE(text_width(line), width);
  }
  EXPECT_NE(table.text(22).find("0123456789"), std::string::npos);
  EXPECT_NE(table.text(5).find("0123456789"), std::string::npos) << "never cut below its minimum";
}

TEST(Table, TextsCannotDriveTheTerminal) {
  EXPECT_EQ(printable("a\x1b[31mb\n\x07\x7f\xc2\x9b"
                      "c\xff"),
            "a?[31mb????"
            "c?");
  EXPECT_EQ(printable("grün … 好"), "grün … 好");
}

TEST(Table, CutsBetweenCharacters) {
  EXPECT_EQ(fit("grün", 4), "grün");
  EXPECT_EQ(fit("grünes", 4), "grü…");
  EXPECT_EQ(fit("abc", 1), "…");
  EXPECT_EQ(fit("abc", 0), "");
}

}  // namespace
}  // namespace lapwing::cli

// SPDX-License-Identifier: Apache-2.0
#include "shared/postgres/values.hpp"

#include "shared/postgres/array_argument.hpp"
#include "shared/postgres/copy_rows.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <limits>

namespace lapwing::postgres {
namespace {

constexpr std::uint32_t kInt2 = 21, kInt4 = 23, kInt8 = 20, kFloat8 = 701, kText = 25, kBytea = 17;

TEST(Numbered, GivesArgumentsThePlacesOfThisDialect) {
  EXPECT_EQ(numbered("SELECT ?, ?"), "SELECT $1, $2");
  EXPECT_EQ(numbered("SELECT ?2, ?1, ?10"), "SELECT $2, $1, $10");
  EXPECT_EQ(numbered("SELECT '?', 'it''s ?', ?"), "SELECT '?', 'it''s ?', $1");
  EXPECT_EQ(numbered(""), "");
  EXPECT_EQ(numbered("a=?"), "a=$1");
}

TEST(Arguments, RefusesWhatDoesNotFitInsteadOfCuttingIt) {
  Arguments arguments;
  const auto fits = [&](std::uint32_t type, const sql::Value& value) {
    return arguments.encode(std::array{type}, std::array{value});
  };
  EXPECT_TRUE(fits(kInt2, 32767));
  EXPECT_FALSE(fits(kInt2, 32768));
  EXPECT_TRUE(fits(kInt4, std::numeric_limits<std::int32_t>::min()));
  EXPECT_FALSE(fits(kInt4, std::int64_t{1} << 31U));
  EXPECT_TRUE(fits(kInt8, std::numeric_limits<std::int64_t>::min()));
  EXPECT_FALSE(fits(kInt8, 1.5));
  EXPECT_TRUE(fits(kFloat8, 3));
  EXPECT_FALSE(fits(kText, 3));
  EXPECT_FALSE(fits(kText, std::string_view("a\0b", 3)));
  EXPECT_FALSE(fits(kText, "\xff"));
  EXPECT_NE(arguments.problem().find("UTF-8"), std::string::npos);
  EXPECT_TRUE(fits(kBytea, sql::Blob{"\xff"}));
  EXPECT_FALSE(arguments.encode(std::array{kInt8, kInt8}, std::array{sql::Value(1)}));
}

TEST(Arguments, NoNumberIsNull) {
  Arguments arguments;
  ASSERT_TRUE(arguments.encode(std::array{kFloat8, kInt8, kText},
                               std::array{sql::Value(std::nan("")), sql::Value(7),
                                          sql::Value(std::optional<std::string>())}));
  EXPECT_EQ(arguments.values()[0], nullptr);
  ASSERT_NE(arguments.values()[1], nullptr);
  EXPECT_EQ(integer_from(kInt8, arguments.values()[1]), 7);
  EXPECT_EQ(arguments.values()[2], nullptr);
}

TEST(CopyRows, WritesTheFormatOfTheManual) {
  CopyRows rows(2);
  rows.begin_row();
  rows.integer(-2);
  rows.bytes("ab");
  EXPECT_EQ(rows.rows(), 1U);
  const std::string expected(
      "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0\0\0\2\0\0\0\4\377\377\377\376\0\0\0\2ab\377\377",
      19 + 2 + 8 + 6 + 2);
  EXPECT_EQ(rows.finish(), expected);
}

TEST(ArrayArgument, WritesTheFormatOfTheServer) {
  ArrayArgument array(ArrayArgument::Of::smallint);
  array.smallint(-2);
  array.null();
  const std::string expected(
      "\0\0\0\1\0\0\0\1\0\0\0\25\0\0\0\2\0\0\0\1\0\0\0\2\377\376\377\377\377\377", 30);
  EXPECT_EQ(array.value().bytes, expected);
  EXPECT_EQ(array.size(), 2U);
  array.clear();
  EXPECT_EQ(array.size(), 0U);
}

}  // namespace
}  // namespace lapwing::postgres

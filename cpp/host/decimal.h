// Decimal numbers in text to the nearest float64.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "host/csv.h"

namespace chainrule {

struct CsvNumberStyle {
  char decimal = '.';
  char thousands = 0;  // 0: none
};

enum CsvNumber : uint8_t { kFloating, kInteger, kLargeInteger, kMissing, kCode, kText, kOutOfRange };

// What the field is, and its value; NaN where it is not a number. The memory up to `readable` may be read, too. A code
// has a leading 0 (`02134`) and is a number, too.
CsvNumber parse_number(std::string_view field, const char* readable, const CsvNumberStyle& style,
                       std::span<const std::string_view> missing, double* value);

// Columns of records of `text`, of `columns` fields each: that of column wanted[i] of a record in [begin, end) goes to
// out[i][record]. Sets a bit for each CsvNumber in found[i].
void parse_columns(std::string_view text, const CsvField* fields, int64_t columns, int64_t begin, int64_t end,
                   std::span<const int64_t> wanted, std::span<double* const> out, const CsvNumberStyle& style,
                   std::span<const std::string_view> missing, std::span<uint32_t> found);

}  // namespace chainrule

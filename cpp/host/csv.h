// Tables of text: where records and fields lie. Nothing is copied: a field is a pair of offsets.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace chainrule {

struct CsvDialect {
  char delimiter;    // ' ': runs of blanks
  int comment = -1;  // lines that begin with it are left out
  bool last = true;  // no more bytes follow
};

enum class CsvFault : int { kNone, kOpenQuote, kAfterQuote, kLongField };

constexpr int64_t kLongestField = 131072;     // bytes; as Python's csv module
constexpr int64_t kLongestText = 0x7fffffff;  // bytes; offsets are int32

// A field without its quotes or the blanks around it. Quotes in it that are doubled make begin -1 - begin.
struct CsvField {
  int32_t begin, end;
  bool doubled() const { return begin < 0; }
  std::string_view of(std::string_view text) const {
    const int32_t first = doubled() ? -1 - begin : begin;
    return {text.data() + first, static_cast<size_t>(end - first)};
  }
};

// Records in a piece of a file. A record that is cut off at the end of the piece is left to the next one.
struct CsvRecords {
  std::vector<CsvField> fields;
  std::vector<int64_t> first;        // the first field of each record, and the number of fields
  std::vector<int64_t> lines;        // at which each record begins, from 0
  int64_t end = 0;                   // bytes up to the last complete record's end
  int64_t line_count = 0;            // lines in these bytes
  CsvFault fault = CsvFault::kNone;  // the record after the last one is malformed,
  int64_t fault_line = 0;            // at this line
};

// Of at most kLongestText bytes. The fields lie in `memory`.
CsvRecords scan_csv(std::string_view text, const CsvDialect& dialect, std::vector<CsvField> memory = {});

struct TextCheck {
  bool ascii;
  int64_t nul;    // where the first NUL byte is; -1: there is none
  int64_t lines;  // LF bytes
};

TextCheck check_text(std::string_view text);

}  // namespace chainrule

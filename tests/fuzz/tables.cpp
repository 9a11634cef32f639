// Tables of text at random: a file read in two pieces is the file read at once; fields lie in it; numbers are read as
// by the C library; texts keep their numbers.
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "host/csv.h"
#include "host/decimal.h"
#include "host/text_codes.h"

using namespace chainrule;

namespace {

void check(bool holds) {
  if (!holds) std::abort();
}

// In memory of its own, so that a byte read behind it is found.
struct Text {
  std::unique_ptr<char[]> bytes;
  size_t size;
  explicit Text(std::string_view from) : bytes(new char[from.size()]), size(from.size()) {
    std::memcpy(bytes.get(), from.data(), from.size());
  }
  std::string_view view() const { return {bytes.get(), size}; }
};

struct Record {
  int64_t line;
  std::vector<std::pair<std::string, bool>> fields;
  bool operator==(const Record&) const = default;
};

std::vector<Record> records_of(std::string_view text, const CsvRecords& found, int64_t line) {
  std::vector<Record> out;
  check(found.first.size() == found.lines.size() + 1);
  for (size_t i = 0; i < found.lines.size(); ++i) {
    Record record{line + found.lines[i], {}};
    for (int64_t f = found.first[i]; f < found.first[i + 1]; ++f) {
      const CsvField field = found.fields[static_cast<size_t>(f)];
      check(field.end <= static_cast<int64_t>(text.size()));
      record.fields.emplace_back(field.of(text), field.doubled());
    }
    out.push_back(std::move(record));
  }
  return out;
}

void check_number(std::string_view field, const CsvNumberStyle& style) {
  const Text alone(field);
  double value = 0, inside = 0;
  const CsvNumber kind = parse_number(alone.view(), alone.view().data() + alone.size, style, {}, &value);
  // The same before digits that are not the field's: some bytes, so that eight are read at a time, and enough of them
  // for the way of short numbers.
  for (const char* more : {"1234567890", "1234567890.1234567890e1234567890,12345678"}) {
    const std::string behind = std::string(field) + more;
    const char* const readable = behind.data() + behind.size();
    const CsvNumber same = parse_number({behind.data(), field.size()}, readable, style, {}, &inside);
    check(kind == same && (std::isnan(value) ? std::isnan(inside) : value == inside));
    check(std::isnan(value) || std::signbit(value) == std::signbit(inside));
  }
  if (kind == kText || kind == kMissing || kind == kOutOfRange) return check(std::isnan(value));
  if (style.decimal != '.' || style.thousands) return;
  check(value == std::strtod(std::string(field).c_str(), nullptr));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const std::string_view delimiters = ",;\t| 1", comments("\0#%", 3);
  CsvDialect dialect{delimiters[data[0] % delimiters.size()]};
  if (data[1] % 3) dialect.comment = comments[data[1] % 3];
  const CsvNumberStyle style{data[2] & 1 ? ',' : '.', "\0.,' "[data[2] / 2 % 5]};
  const Text text({reinterpret_cast<const char*>(data + 4), size - 4});
  const CsvRecords whole = scan_csv(text.view(), dialect);
  const std::vector<Record> expected = records_of(text.view(), whole, 0);

  const size_t cut = text.size * data[3] / 255;
  const Text begin(text.view().substr(0, cut));
  CsvDialect open = dialect;
  open.last = false;
  const CsvRecords first = scan_csv(begin.view(), open);
  std::vector<Record> parts = records_of(begin.view(), first, 0);
  CsvFault fault = first.fault;
  int64_t fault_line = first.fault_line;
  if (fault == CsvFault::kNone) {
    const Text rest(text.view().substr(static_cast<size_t>(first.end)));
    const CsvRecords second = scan_csv(rest.view(), dialect);
    for (Record& record : records_of(rest.view(), second, first.line_count)) parts.push_back(std::move(record));
    fault = second.fault;
    fault_line = first.line_count + second.fault_line;
  }
  check(parts == expected && fault == whole.fault && (fault == CsvFault::kNone || fault_line == whole.fault_line));

  TextCodes codes;
  codes.add_missing("NA");
  std::vector<int32_t> numbered;
  for (const CsvField& field : whole.fields) {
    check_number(field.of(text.view()), style);
    numbered.push_back(codes.code(Text(field.of(text.view())).view()));
  }
  for (size_t i = 0; i < numbered.size(); ++i)
    check(whole.fields[i].of(text.view()) ==
          (numbered[i] == TextCodes::kMissing ? "NA" : codes.texts()[static_cast<size_t>(numbered[i])]));
  const TextCheck found = check_text(text.view());
  check((found.nul < 0) == (text.view().find('\0') == std::string_view::npos));
  return 0;
}

#include "host/csv.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#ifdef __SSE2__
#include <emmintrin.h>
#endif

namespace chainrule {

namespace {

bool is_blank(char c) { return c == ' ' || c == '\t'; }

// A bit for each of 64 bytes that is `a`, `b` or the end of a line.
#ifdef __SSE2__
uint64_t ends_in(const char* p, char a, char b) {
  uint64_t mask = 0;
  for (int i = 0; i < 4; ++i) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 16 * i));
    const auto equal = [&](char c) { return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(c)); };
    const __m128i found = _mm_or_si128(_mm_or_si128(equal(a), equal(b)), _mm_or_si128(equal('\n'), equal('\r')));
    mask |= static_cast<uint64_t>(static_cast<uint32_t>(_mm_movemask_epi8(found))) << (16 * i);
  }
  return mask;
}
#else
uint64_t ends_in(const char* p, char a, char b) {
  constexpr uint64_t kLow = 0x0101010101010101, kSeven = 0x7f * kLow;
  uint64_t mask = 0;
  for (int i = 0; i < 8; ++i) {
    uint64_t bytes;
    std::memcpy(&bytes, p + 8 * i, sizeof bytes);
    const auto equal = [&](char c) {  // the highest bit of every byte that is c
      const uint64_t x = bytes ^ (kLow * static_cast<unsigned char>(c));
      return ~(((x & kSeven) + kSeven) | x | kSeven);
    };
    const uint64_t found = equal(a) | equal(b) | equal('\n') | equal('\r');
    mask |= (((found >> 7) * 0x0102040810204080) >> 56) << (8 * i);  // one bit for each byte
  }
  return mask;
}
#endif

// Where fields may end: at the delimiter and at line ends. 64 bytes at a time: a field of 18 bytes costs a third of a
// search byte by byte.
class FieldEnds {
 public:
  FieldEnds(const char* begin, const char* stop, char delimiter)
      : stop_(stop), base_(begin), delimiter_(delimiter), other_(delimiter == ' ' ? '\t' : delimiter) {}

  bool is_end(char c) const { return c == delimiter_ || c == other_ || c == '\n' || c == '\r'; }

  // The first end at p or behind it. Going back is allowed.
  const char* next(const char* p) {
    for (;;) {
      if (static_cast<uint64_t>(p - base_) < static_cast<uint64_t>(known_)) {
        const uint64_t mask = mask_ >> (p - base_);
        if (mask) return p + std::countr_zero(mask);
        p = base_ + known_;
      }
      if (p >= stop_) return stop_;
      load(p);
    }
  }

 private:
  void load(const char* p) {
    base_ = p;
    known_ = std::min<int64_t>(stop_ - p, 64);
    if (known_ == 64) {
      mask_ = ends_in(p, delimiter_, other_);
      return;
    }
    mask_ = 0;
    for (int64_t i = 0; i < known_; ++i) mask_ |= uint64_t{is_end(p[i])} << i;
  }

  const char* stop_;
  const char* base_;   // of the bytes whose ends are known
  int64_t known_ = 0;  // so many
  uint64_t mask_ = 0;
  char delimiter_, other_;
};

class Scanner {
 public:
  Scanner(std::string_view text, const CsvDialect& dialect, std::vector<CsvField> memory)
      : begin_(text.data()),
        stop_(begin_ + text.size()),
        dialect_(dialect),
        blanks_(dialect.delimiter == ' '),
        ends_(begin_, stop_, dialect.delimiter) {
    out_.fields = std::move(memory);
    out_.fields.clear();
  }

  CsvRecords run() {
    p_ = begin_;
    out_.fields.reserve(static_cast<size_t>(stop_ - begin_) / 8);
    while (p_ < stop_ && record()) {
      out_.end = p_ - begin_;
      out_.line_count = line_;
    }
    out_.first.push_back(static_cast<int64_t>(complete_));
    out_.fields.resize(complete_);
    return std::move(out_);
  }

 private:
  // Reads a line or record; false where it is cut off or malformed.
  bool record() {
    const int64_t line = line_;
    if (*p_ == '\n' || *p_ == '\r') return line_end();
    if (static_cast<unsigned char>(*p_) == dialect_.comment) {
      while (p_ < stop_ && *p_ != '\n' && *p_ != '\r') ++p_;
      return p_ < stop_ ? line_end() : dialect_.last;
    }
    if (blanks_) skip_blanks();
    for (;;) {
      if (!field()) return false;
      if (p_ < stop_ && blanks_) skip_blanks();
      if (p_ == stop_) {
        if (!dialect_.last) return false;
        break;
      }
      if (*p_ == '\n' || *p_ == '\r') {
        if (!line_end()) return false;
        break;
      }
      if (!blanks_) ++p_;  // the delimiter
    }
    const size_t fields = out_.fields.size() - complete_;
    if (fields == 1 && out_.fields.back().begin == out_.fields.back().end && !quoted_) {  // an empty line
      out_.fields.pop_back();
      return true;
    }
    out_.first.push_back(static_cast<int64_t>(complete_));
    out_.lines.push_back(line);
    complete_ += fields;
    return true;
  }

  bool line_end() {
    if (*p_ == '\r') {
      if (p_ + 1 == stop_ && !dialect_.last) return false;  // a \n may follow
      if (p_ + 1 < stop_ && p_[1] == '\n') ++p_;
    }
    ++p_;
    ++line_;
    return true;
  }

  void skip_blanks() {
    while (p_ < stop_ && is_blank(*p_) && (blanks_ || *p_ != dialect_.delimiter)) ++p_;
  }

  bool field() {
    if (p_ < stop_ && static_cast<unsigned char>(*p_) > '"') {  // no blank, no quote: most fields
      const char* const start = p_;
      p_ = ends_.next(p_);
      if (p_ > start && !is_blank(p_[-1])) {
        quoted_ = false;
        return add(start, p_, false, line_);
      }
      p_ = start;
    }
    skip_blanks();
    quoted_ = p_ < stop_ && *p_ == '"';
    if (quoted_) return quoted();
    const char* start = p_;
    p_ = ends_.next(p_);
    const char* end = p_;
    while (end > start && is_blank(end[-1])) --end;
    return add(start, end, false, line_);
  }

  bool quoted() {
    const char* start = ++p_;
    const int64_t line = line_;
    bool doubled = false;
    for (;;) {
      const auto* quote = static_cast<const char*>(std::memchr(p_, '"', static_cast<size_t>(stop_ - p_)));
      if ((quote ? quote : stop_) - start > kLongestField) return malformed(CsvFault::kLongField, line);
      if (!quote) return dialect_.last && malformed(CsvFault::kOpenQuote, line);
      count_lines(p_, quote);
      p_ = quote;
      if (p_ + 1 == stop_ && !dialect_.last) return false;
      if (p_ + 1 == stop_ || p_[1] != '"') break;
      doubled = true;
      p_ += 2;
    }
    const char* end = p_++;
    skip_blanks();
    if (p_ < stop_ && !ends_.is_end(*p_) && !(blanks_ && is_blank(end[1])))
      return malformed(CsvFault::kAfterQuote, line);
    return add(start, end, doubled, line);
  }

  void count_lines(const char* from, const char* to) {
    for (const char* p = ends_.next(from); p < to; p = ends_.next(p + 1))
      line_ += *p == '\n' || (*p == '\r' && p[1] != '\n');
  }

  bool add(const char* start, const char* end, bool doubled, int64_t line) {
    if (end - start > kLongestField) return malformed(CsvFault::kLongField, line);
    const int32_t first = static_cast<int32_t>(start - begin_), last = static_cast<int32_t>(end - begin_);
    out_.fields.push_back({doubled ? -1 - first : first, last});
    return true;
  }

  bool malformed(CsvFault fault, int64_t line) {
    out_.fault = fault;
    out_.fault_line = line;
    return false;
  }

  const char* begin_;
  const char* stop_;
  CsvDialect dialect_;
  bool blanks_;
  FieldEnds ends_;
  const char* p_ = nullptr;
  bool quoted_ = false;  // the last field
  int64_t line_ = 0;
  size_t complete_ = 0;  // fields of complete records
  CsvRecords out_;
};

}  // namespace

TextCheck check_text(std::string_view text) {
  unsigned char all = 0, zero = 0;
  int64_t lines = 0;
  for (const char c : text) {
    all |= static_cast<unsigned char>(c);
    zero |= c == 0;
    lines += c == '\n';
  }
  return {all < 128, zero ? static_cast<int64_t>(text.find('\0')) : -1, lines};
}

CsvRecords scan_csv(std::string_view text, const CsvDialect& dialect, std::vector<CsvField> memory) {
  return Scanner(text, dialect, std::move(memory)).run();
}

}  // namespace chainrule

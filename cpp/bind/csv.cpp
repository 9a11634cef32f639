// Tables of text (host/csv.h) for chainrule.data.
#include "bind/csv.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "bind/arrays.h"
#include "bind/gil.h"
#include "host/csv.h"
#include "host/decimal.h"
#include "host/text_codes.h"
#include "threads/fp_mode.h"
#include "threads/thread_pool.h"
#include "threads/threads.h"

namespace chainrule {

namespace {

constexpr double kFieldWork = 15;  // nanoseconds

// The bytes of an object with the buffer protocol, for as long as this exists.
class Bytes {
 public:
  explicit Bytes(py::handle object) {
    if (PyObject_GetBuffer(object.ptr(), &view_, PyBUF_SIMPLE) != 0) throw py::error_already_set();
  }
  ~Bytes() { PyBuffer_Release(&view_); }
  Bytes(const Bytes&) = delete;
  Bytes& operator=(const Bytes&) = delete;
  std::string_view text() const { return {static_cast<const char*>(view_.buf), static_cast<size_t>(view_.len)}; }

 private:
  Py_buffer view_;
};

// Memory for the fields of blocks that are done with: new memory costs a page fault for each 4 KiB, as much as the
// scan.
class SpareFields {
 public:
  static std::vector<CsvField> take() {
    const std::lock_guard<std::mutex> lock(mutex());
    if (spare().empty()) return {};
    std::vector<CsvField> fields = std::move(spare().back());
    spare().pop_back();
    return fields;
  }
  static void give(std::vector<CsvField>&& fields) {
    const std::lock_guard<std::mutex> lock(mutex());
    if (spare().size() < kMost && fields.capacity() <= kLargest) spare().push_back(std::move(fields));
  }

 private:
  static constexpr size_t kMost = 3, kLargest = size_t{1} << 18;  // 2 MiB
  static std::mutex& mutex() {
    static auto* const held = new std::mutex;  // never destroyed: arrays may outlive static objects
    return *held;
  }
  static std::vector<std::vector<CsvField>>& spare() {
    static auto* const held = new std::vector<std::vector<CsvField>>;
    return *held;
  }
};

// An array that owns the vector.
py::array_t<int64_t> array_of(std::vector<int64_t>&& values) {
  auto owned = std::make_unique<std::vector<int64_t>>(std::move(values));
  const py::capsule owner(owned.get(), [](void* vector) { delete static_cast<std::vector<int64_t>*>(vector); });
  const std::vector<int64_t>& held = *owned.release();
  return py::array_t<int64_t>(static_cast<py::ssize_t>(held.size()), held.data(), owner);
}

py::array_t<int32_t> array_of(std::vector<CsvField>&& fields) {
  auto owned = std::make_unique<std::vector<CsvField>>(std::move(fields));
  const py::capsule owner(owned.get(), [](void* vector) {
    const std::unique_ptr<std::vector<CsvField>> again(static_cast<std::vector<CsvField>*>(vector));
    SpareFields::give(std::move(*again));
  });
  const std::vector<CsvField>& held = *owned.release();
  const auto size = static_cast<py::ssize_t>(held.size());
  return py::array_t<int32_t>({size, py::ssize_t{2}}, reinterpret_cast<const int32_t*>(held.data()), owner);
}

py::tuple csv_scan(py::handle data, char delimiter, int comment, bool last) {
  const Bytes bytes(data);
  if (bytes.text().size() > static_cast<size_t>(kLongestText)) throw py::value_error("csv_scan: 2 GiB or more at once");
  CsvRecords found;
  {
    const ReleasedGil released;
    found = scan_csv(bytes.text(), {delimiter, comment, last}, SpareFields::take());
  }
  return py::make_tuple(array_of(std::move(found.fields)), array_of(std::move(found.first)),
                        array_of(std::move(found.lines)), found.end, found.line_count, static_cast<int>(found.fault),
                        found.fault_line);
}

py::tuple csv_check(py::handle data) {
  const Bytes bytes(data);
  const TextCheck found = check_text(bytes.text());
  return py::make_tuple(found.ascii, found.nul, found.lines);
}

using FieldArray = py::array_t<int32_t, py::array::c_style>;

// Fields of records of `columns` fields each.
struct Fields {
  std::string_view text;
  const CsvField* fields;
  int64_t columns, rows;

  Fields(std::string_view all, const FieldArray& array, int64_t per_row)
      : text(all), fields(reinterpret_cast<const CsvField*>(array.data())), columns(per_row), rows(0) {
    if (array.ndim() != 2 || array.shape(1) != 2) throw py::value_error("csv: expected fields of shape (n, 2)");
    if (columns < 1 || array.shape(0) % columns != 0) throw py::value_error("csv: expected whole records");
    rows = array.shape(0) / columns;
    const auto size = static_cast<int32_t>(std::min(text.size(), static_cast<size_t>(kLongestText)));
    int outside = 0;  // no branches: eight fields at a time
    for (int64_t i = 0; i < array.shape(0); ++i) {
      const CsvField field = fields[i];
      outside |= static_cast<int>((field.begin ^ (field.begin >> 31)) > field.end) | static_cast<int>(field.end > size);
    }
    if (outside != 0) throw py::value_error("csv: a field lies outside of the data");
  }
  CsvField at(int64_t row, int64_t column) const { return fields[row * columns + column]; }
  std::vector<int64_t> checked(const py::tuple& indices) const {
    std::vector<int64_t> out;
    for (py::handle index : indices) {
      out.push_back(py::cast<int64_t>(index));
      if (out.back() < 0 || out.back() >= columns) throw py::value_error("csv: there is no such column");
    }
    return out;
  }
};

std::vector<std::string> words_of(const py::tuple& words) {
  std::vector<std::string> out;
  for (py::handle word : words) out.push_back(py::cast<std::string>(word));
  return out;
}

// Calls body(share) without the GIL, on as many threads as the work is worth; so many of all are busy with other work.
template <class Body>
void on_threads(double work, int busy, int64_t most, const Body& body) {
  const ReleasedGil released;
  const int64_t free = std::max(1, num_threads() - busy);
  const int threads = static_cast<int>(std::min({most, free, int64_t{thread_rule(work)(work)}}));
  if (threads > 1) {
    const auto run = [](void* context, Share share) { (*static_cast<const Body*>(context))(share); };
    run_on_pool(threads, run, const_cast<Body*>(&body));
  } else {
    const DefaultFpMode mode;
    body(Share{0, 1});
  }
}

using NumberArray = py::array_t<double, py::array::c_style>;

// Where each of the columns is written, from the row `at` on.
std::vector<double*> places_of(const py::tuple& out, size_t columns, int64_t at, int64_t rows) {
  if (out.size() != columns) throw py::value_error("csv_numbers: expected an array for each column");
  std::vector<double*> places;
  for (py::handle array : out) {
    if (!NumberArray::check_(array)) throw py::value_error("csv_numbers: out: expected float64 arrays");
    auto column = py::reinterpret_borrow<NumberArray>(array);
    if (column.ndim() != 1 || at < 0 || column.shape(0) < at + rows)
      throw py::value_error("csv_numbers: out: the rows do not fit");
    places.push_back(column.mutable_data() + at);
  }
  return places;
}

py::array_t<uint32_t> csv_numbers(py::handle data, const FieldArray& array, int64_t columns, const py::tuple& indices,
                                  char decimal, char thousands, const py::tuple& missing, const py::tuple& out,
                                  int64_t at, int busy) {
  const Bytes bytes(data);
  const Fields fields(bytes.text(), array, columns);
  const std::vector<int64_t> wanted = fields.checked(indices);
  const std::vector<std::string> words = words_of(missing);
  const std::vector<std::string_view> views(words.begin(), words.end());
  const std::vector<double*> places = places_of(out, wanted.size(), at, fields.rows);
  const auto count = static_cast<py::ssize_t>(wanted.size());
  py::array_t<uint32_t> found(count);
  std::vector<uint32_t> kinds(wanted.size() * static_cast<size_t>(num_threads()), 0);
  const double work = kFieldWork * static_cast<double>(fields.rows) * static_cast<double>(count);
  on_threads(work, busy, fields.rows, [&](Share share) {
    const Range rows = share_range(fields.rows, 16, share);
    std::vector<uint32_t> mine(wanted.size(), 0);  // not in `kinds`: shares would write the same line of the cache
    parse_columns(fields.text, fields.fields, columns, rows.begin, rows.end, wanted, places, {decimal, thousands},
                  views, mine);
    std::copy(mine.begin(), mine.end(), kinds.data() + wanted.size() * static_cast<size_t>(share.index));
  });
  uint32_t* const all = found.mutable_data();
  for (size_t i = 0; i < wanted.size(); ++i) {
    all[i] = 0;
    for (size_t k = i; k < kinds.size(); k += wanted.size()) all[i] |= kinds[k];
  }
  return found;
}

// A field's text with its quotes as they were meant.
std::string_view plain_text(const Fields& fields, CsvField field, std::string& buffer) {
  const std::string_view text = field.of(fields.text);
  if (!field.doubled()) return text;
  buffer.clear();
  for (size_t i = 0; i < text.size(); ++i) {
    buffer.push_back(text[i]);
    if (text[i] == '"') ++i;  // the other one
  }
  return buffer;
}

py::list as_list(const std::vector<std::string_view>& texts) {
  py::list out(texts.size());
  for (size_t i = 0; i < texts.size(); ++i) {
    PyObject* text = PyUnicode_DecodeUTF8(texts[i].data(), static_cast<py::ssize_t>(texts[i].size()), nullptr);
    if (!text) throw py::error_already_set();
    PyList_SET_ITEM(out.ptr(), static_cast<py::ssize_t>(i), text);
  }
  return out;
}

py::list csv_codes(py::handle data, const FieldArray& array, int64_t columns, const py::tuple& indices,
                   const py::tuple& tables, int busy) {
  const Bytes bytes(data);
  const Fields fields(bytes.text(), array, columns);
  const std::vector<int64_t> wanted = fields.checked(indices);
  if (tables.size() != wanted.size()) throw py::value_error("csv_codes: expected a table for each column");
  std::vector<TextCodes*> known;
  std::vector<int32_t*> codes;
  py::list out;
  for (py::handle table : tables) {
    py::array_t<int32_t> column(static_cast<py::ssize_t>(fields.rows));
    known.push_back(&py::cast<TextCodes&>(table));
    codes.push_back(column.mutable_data());
    out.append(std::move(column));
  }
  const auto count = static_cast<int64_t>(wanted.size());
  on_threads(kFieldWork * static_cast<double>(fields.rows * count), busy, count, [&](Share share) {
    const Range mine = share_range(count, 1, share);
    std::string buffer;
    for (int64_t i = mine.begin; i < mine.end; ++i)
      for (int64_t row = 0; row < fields.rows; ++row)
        codes[static_cast<size_t>(i)][row] = known[static_cast<size_t>(i)]->code(
            plain_text(fields, fields.at(row, wanted[static_cast<size_t>(i)]), buffer));
  });
  return out;
}

py::list csv_texts(py::handle data, const FieldArray& array) {
  const Bytes bytes(data);
  const Fields fields(bytes.text(), array, 1);
  py::list out(fields.rows);
  std::string buffer;
  for (int64_t i = 0; i < fields.rows; ++i) {
    const std::string_view text = plain_text(fields, fields.at(i, 0), buffer);
    PyObject* const object = PyUnicode_DecodeUTF8(text.data(), static_cast<py::ssize_t>(text.size()), nullptr);
    if (!object) throw py::error_already_set();
    PyList_SET_ITEM(out.ptr(), i, object);
  }
  return out;
}

std::unique_ptr<TextCodes> text_codes(const py::tuple& missing) {
  auto table = std::make_unique<TextCodes>();
  for (const std::string& word : words_of(missing)) table->add_missing(word);
  return table;
}

}  // namespace

void bind_csv(py::module_& m) {
  m.def("csv_scan", csv_scan, py::arg("data"), py::arg("delimiter"), py::arg("comment"), py::arg("last"),
        "Where records and fields lie: fields (CsvField), first, lines, end, line_count, fault, fault_line.");
  m.def("csv_check", csv_check, py::arg("data"), "Whether it is ASCII, where the first NUL is (-1: nowhere), its LFs.");
  m.def(
      "csv_numbers", csv_numbers, py::arg("data"), py::arg("fields"), py::arg("columns"), py::arg("indices"),
      py::arg("decimal"), py::arg("thousands"), py::arg("missing"), py::arg("out"), py::arg("at"), py::arg("busy") = 0,
      "Writes columns of records into float64 arrays from a row on, on all threads but so many; returns a bit for each "
      "CsvNumber in them.");
  m.def("csv_codes", csv_codes, py::arg("data"), py::arg("fields"), py::arg("columns"), py::arg("indices"),
        py::arg("tables"), py::arg("busy") = 0, "Columns of records as codes of their texts, which the tables number.");
  m.def("csv_texts", csv_texts, py::arg("data"), py::arg("fields"), "Fields as texts.");
  py::class_<TextCodes>(m, "TextCodes", "Different texts, numbered; those in `missing` have the code -1.")
      .def(py::init(&text_codes), py::arg("missing"))
      .def("texts", [](const TextCodes& table) { return as_list(table.texts()); }, "The texts by code.");
}

}  // namespace chainrule

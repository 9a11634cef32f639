// Tables of text (host/csv.h) for chainrule.data.
#include "bind/csv.h"

#include <memory>
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

// An array that owns the vector, whose elements are `width` values of type T.
template <class T, class Element>
py::array_t<T> array_of(std::vector<Element>&& values, py::ssize_t width) {
  static_assert(sizeof(Element) % sizeof(T) == 0);
  auto owned = std::make_unique<std::vector<Element>>(std::move(values));
  const T* const data = reinterpret_cast<const T*>(owned->data());
  const auto size = static_cast<py::ssize_t>(owned->size());
  const py::capsule owner(owned.get(), [](void* vector) { delete static_cast<std::vector<Element>*>(vector); });
  owned.release();
  if (width == 1) return py::array_t<T>(size, data, owner);
  return py::array_t<T>({size, width}, data, owner);
}

py::tuple csv_scan(py::handle data, char delimiter, int comment, bool last) {
  const Bytes bytes(data);
  if (bytes.text().size() > static_cast<size_t>(kLongestText)) throw py::value_error("csv_scan: 2 GiB or more at once");
  CsvRecords found;
  {
    const ReleasedGil released;
    found = scan_csv(bytes.text(), {delimiter, comment, last});
  }
  return py::make_tuple(array_of<int32_t>(std::move(found.fields), 2), array_of<int64_t>(std::move(found.first), 1),
                        array_of<int64_t>(std::move(found.lines), 1), found.end, found.line_count,
                        static_cast<int>(found.fault), found.fault_line);
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
    const auto size = static_cast<int64_t>(text.size());
    for (int64_t i = 0; i < array.shape(0); ++i) {
      const CsvField field = fields[i];
      if ((field.doubled() ? -1 - field.begin : field.begin) > field.end || field.end > size)
        throw py::value_error("csv: a field lies outside of the data");
    }
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

// Calls body(share) without the GIL, on as many threads as the work is worth.
template <class Body>
void on_threads(double work, int64_t most, const Body& body) {
  const ReleasedGil released;
  const int threads = static_cast<int>(std::min<int64_t>(most, thread_rule(work)(work)));
  if (threads > 1) {
    const auto run = [](void* context, Share share) { (*static_cast<const Body*>(context))(share); };
    run_on_pool(threads, run, const_cast<Body*>(&body));
  } else {
    const DefaultFpMode mode;
    body(Share{0, 1});
  }
}

py::tuple csv_numbers(py::handle data, const FieldArray& array, int64_t columns, const py::tuple& indices, char decimal,
                      char thousands, const py::tuple& missing) {
  const Bytes bytes(data);
  const Fields fields(bytes.text(), array, columns);
  const std::vector<int64_t> wanted = fields.checked(indices);
  const std::vector<std::string> words = words_of(missing);
  const std::vector<std::string_view> views(words.begin(), words.end());
  const auto count = static_cast<py::ssize_t>(wanted.size());
  py::array_t<double> values({count, static_cast<py::ssize_t>(fields.rows)});
  py::array_t<uint32_t> found(count);
  double* const out = values.mutable_data();
  const char* const readable = fields.text.data() + fields.text.size();
  std::vector<uint32_t> kinds(wanted.size() * static_cast<size_t>(num_threads()), 0);
  const double work = kFieldWork * static_cast<double>(fields.rows) * static_cast<double>(count);
  on_threads(work, std::max<int64_t>(1, num_threads()), [&](Share share) {
    const Range rows = share_range(fields.rows, 16, share);
    uint32_t* const mine = kinds.data() + wanted.size() * static_cast<size_t>(share.index);
    for (int64_t row = rows.begin; row < rows.end; ++row)
      for (size_t i = 0; i < wanted.size(); ++i)
        mine[i] |= 1u << parse_number(fields.at(row, wanted[i]).of(fields.text), readable, {decimal, thousands}, views,
                                      &out[static_cast<int64_t>(i) * fields.rows + row]);
  });
  uint32_t* const all = found.mutable_data();
  for (size_t i = 0; i < wanted.size(); ++i) {
    all[i] = 0;
    for (size_t at = i; at < kinds.size(); at += wanted.size()) all[i] |= kinds[at];
  }
  return py::make_tuple(values, found);
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
                   const py::tuple& tables) {
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
  on_threads(kFieldWork * static_cast<double>(fields.rows * count), count, [&](Share share) {
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
  m.def("csv_numbers", csv_numbers, py::arg("data"), py::arg("fields"), py::arg("columns"), py::arg("indices"),
        py::arg("decimal"), py::arg("thousands"), py::arg("missing"),
        "Columns of records as float64, a row for each, and a bit for each CsvNumber that is in it.");
  m.def("csv_codes", csv_codes, py::arg("data"), py::arg("fields"), py::arg("columns"), py::arg("indices"),
        py::arg("tables"), "Columns of records as codes of their texts, which the tables number.");
  m.def("csv_texts", csv_texts, py::arg("data"), py::arg("fields"), "Fields as texts.");
  py::class_<TextCodes>(m, "TextCodes", "Different texts, numbered; those in `missing` have the code -1.")
      .def(py::init(&text_codes), py::arg("missing"))
      .def("texts", [](const TextCodes& table) { return as_list(table.texts()); }, "The texts by code.");
}

}  // namespace chainrule

// Tables of text (host/csv.h) for chainrule.data.
#include "bind/csv.h"

#include <cstring>
#include <string>
#include <unordered_map>

#include "bind/arrays.h"
#include "bind/gil.h"
#include "host/csv.h"
#include "threads/fp_mode.h"

namespace chainrule {

namespace {

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

template <class T>
py::array_t<T> array_of(const std::vector<T>& values) {
  py::array_t<T> out(static_cast<py::ssize_t>(values.size()));
  if (!values.empty()) std::memcpy(out.mutable_data(), values.data(), values.size() * sizeof(T));
  return out;
}

py::tuple csv_scan(py::handle data, char delimiter, int comment, bool last) {
  const Bytes bytes(data);
  CsvRecords found;
  {
    const ReleasedGil released;
    found = scan_csv(bytes.text(), {delimiter, comment, last});
  }
  return py::make_tuple(array_of(found.starts), array_of(found.ends), array_of(found.doubled), array_of(found.first),
                        array_of(found.lines), found.end, found.line_count, static_cast<int>(found.fault),
                        found.fault_line);
}

// Every `step`-th field from `first` on.
struct Fields {
  std::string_view text;
  py::array_t<int64_t> starts, ends;
  int64_t first, step, count;

  Fields(std::string_view all, const py::array_t<int64_t>& begins, const py::array_t<int64_t>& stops, int64_t from,
         int64_t distance)
      : text(all), starts(begins), ends(stops), first(from), step(distance), count(0) {
    const int64_t n = starts.size();
    if (starts.ndim() != 1 || ends.ndim() != 1 || ends.size() != n || first < 0 || step < 1)
      throw py::value_error("csv: expected starts and ends of equal length");
    if (n > first) count = (n - first - 1) / step + 1;
    const int64_t *s = starts.data(), *e = ends.data(), size = static_cast<int64_t>(text.size());
    for (int64_t i = first; i < n; i += step)
      if (s[i] < 0 || e[i] < s[i] || e[i] > size) throw py::value_error("csv: a field lies outside of the data");
  }
  int64_t index(int64_t i) const { return first + i * step; }
  std::string_view field(const int64_t* s, const int64_t* e, int64_t i) const {
    return text.substr(static_cast<size_t>(s[i]), static_cast<size_t>(e[i] - s[i]));
  }
};

std::vector<std::string> words_of(const py::tuple& words) {
  std::vector<std::string> out;
  for (py::handle word : words) out.push_back(py::cast<std::string>(word));
  return out;
}

py::tuple csv_numbers(py::handle data, const py::array_t<int64_t>& starts, const py::array_t<int64_t>& ends,
                      int64_t first, int64_t step, char decimal, char thousands, const py::tuple& missing) {
  const Bytes bytes(data);
  const Fields fields(bytes.text(), starts, ends, first, step);
  const std::vector<std::string> words = words_of(missing);
  const std::vector<std::string_view> views(words.begin(), words.end());
  py::array_t<double> values(fields.count);
  py::array_t<uint8_t> found(fields.count);
  double* out = values.mutable_data();
  uint8_t* kinds = found.mutable_data();
  const int64_t *s = starts.data(), *e = ends.data();
  {
    const ReleasedGil released;
    const DefaultFpMode mode;
    for (int64_t i = 0; i < fields.count; ++i)
      kinds[i] = parse_number(fields.field(s, e, fields.index(i)), {decimal, thousands}, views, &out[i]);
  }
  return py::make_tuple(values, found);
}

// Equal texts are one object: a column of categories takes the memory of its references.
py::list csv_texts(py::handle data, const py::array_t<int64_t>& starts, const py::array_t<int64_t>& ends,
                   const py::array_t<uint8_t>& doubled, int64_t first, int64_t step, const py::tuple& missing,
                   const py::dict& known) {
  const Bytes bytes(data);
  const Fields fields(bytes.text(), starts, ends, first, step);
  if (doubled.ndim() != 1 || doubled.size() != starts.size()) throw py::value_error("csv: expected a flag per field");
  std::unordered_map<std::string_view, py::object> seen;
  const std::vector<std::string> words = words_of(missing);
  for (const std::string& word : words) seen.emplace(word, py::none());
  py::list out(fields.count);
  const int64_t *s = starts.data(), *e = ends.data();
  const uint8_t* quotes = doubled.data();
  for (int64_t i = 0; i < fields.count; ++i) {
    const int64_t at = fields.index(i);
    const std::string_view field = fields.field(s, e, at);
    auto place = seen.find(field);
    if (place == seen.end() || quotes[at]) {
      std::string plain(field);
      if (quotes[at])
        for (size_t q = plain.find("\"\""); q != std::string::npos; q = plain.find("\"\"", q + 1)) plain.erase(q, 1);
      py::object text = py::reinterpret_steal<py::object>(
          PyUnicode_DecodeUTF8(plain.data(), static_cast<py::ssize_t>(plain.size()), nullptr));
      if (!text) throw py::error_already_set();
      PyObject* same = PyDict_SetDefault(known.ptr(), text.ptr(), text.ptr());
      if (!same) throw py::error_already_set();
      text = py::reinterpret_borrow<py::object>(same);
      if (!quotes[at]) seen.emplace(field, text);
      PyList_SET_ITEM(out.ptr(), i, text.release().ptr());
    } else {
      PyList_SET_ITEM(out.ptr(), i, place->second.inc_ref().ptr());
    }
  }
  return out;
}

}  // namespace

void bind_csv(py::module_& m) {
  m.def("csv_scan", csv_scan, py::arg("data"), py::arg("delimiter"), py::arg("comment"), py::arg("last"),
        "Where records and fields lie: starts, ends, doubled, first, lines, end, line_count, fault, fault_line.");
  m.def("csv_numbers", csv_numbers, py::arg("data"), py::arg("starts"), py::arg("ends"), py::arg("first"),
        py::arg("step"), py::arg("decimal"), py::arg("thousands"), py::arg("missing"),
        "Every step-th field from first on as float64, and what it is (CsvNumber).");
  m.def("csv_texts", csv_texts, py::arg("data"), py::arg("starts"), py::arg("ends"), py::arg("doubled"),
        py::arg("first"), py::arg("step"), py::arg("missing"), py::arg("known"),
        "Every step-th field from first on as a str, None where it is missing; known holds the strings met so far.");
}

}  // namespace chainrule

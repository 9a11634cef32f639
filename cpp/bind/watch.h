// Whether what a cached program depends on is as it was.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <vector>

namespace chainrule {

// Whether the entries of a watch (python/chainrule/compiler/watch.py) hold; `owner` stands for None in them.
bool unchanged(PyObject* entries, PyObject* owner);

// The same for entries that are compared often, none of which refers to an owner. They are borrowed: the garbage
// collector does not see what C++ holds.
class Watched {
 public:
  explicit Watched(pybind11::handle entries);
  bool unchanged();

 private:
  struct Check {
    long kind;
    PyObject* entry;
    PyObject* object;
    unsigned long type_version;
    uint64_t dict_version;  // of the latest comparison
  };
  static bool same(Check& check);

  std::vector<Check> checks_;
};

}  // namespace chainrule

// Whether what a cached program depends on is as it was.
#pragma once

#include <pybind11/pybind11.h>

#include <cstdint>
#include <vector>

namespace chainrule {

// The first element of an entry of a watch; python/chainrule/compiler/entries.py lists what follows.
enum EntryKind : long {
  kInstance,
  kMapping,
  kList,
  kName,
  kCell,
  kArray,
  kData,
  kCount,
  kCode,
  kType,
  kItems,
  kAttributes,
  kSlot,
};

inline EntryKind entry_kind(PyObject* entry) {
  return static_cast<EntryKind>(PyLong_AsLong(PyTuple_GET_ITEM(entry, 0)));
}

// CPython gives a class another version whenever it or one of its bases changes. 0: it has none yet.
inline unsigned long type_version(PyTypeObject* type) {
#if PY_VERSION_HEX < 0x030B0000
  if (!PyType_HasFeature(type, Py_TPFLAGS_VALID_VERSION_TAG)) return 0;
#endif
  return type->tp_version_tag;
}

// Whether an entry, or each of them, holds; `owner` stands for None in them.
bool entry_holds(PyObject* entry, PyObject* owner);
bool unchanged(PyObject* entries, PyObject* owner);

// The same for entries that are compared often, none of which refers to an owner. They are borrowed: the garbage
// collector does not see what C++ holds.
//
// What an entry compares lies in a few words of memory, for example a pointer to a list's items and the items. As long
// as these words are the same, the entry holds: half a nanosecond each, where comparing its objects takes 5 to 40.
class Watched {
 public:
  explicit Watched(pybind11::handle entries);
  bool unchanged();

  struct Word {
    const void* address;
    uint64_t value;
  };
  // Those of objects that the entries keep alive, and what these point to: that is read where the first are the same.
  enum Part { kHeld, kBehind, kParts };

 private:
  struct Entry {
    PyObject* entry;
    size_t first[kParts], end[kParts];  // its words
  };
  struct Dict {
    PyObject* entry;
    uint64_t version;  // of the latest comparison
  };
  struct Type {
    PyTypeObject* type;
    unsigned long version;
  };
  void require_version(PyObject* type, PyObject* version);
  bool same_words(const Entry& entry) const;
  bool compare(const Entry& entry);
  bool compare_changed();

  std::vector<Type> types_;
  std::vector<Entry> entries_;
  std::vector<Word> words_[kParts];
  std::vector<Dict> dicts_;               // names and mappings: a loop of a module changes its namespace in every turn
  std::vector<PyObject*> without_words_;  // compared every time
};

}  // namespace chainrule

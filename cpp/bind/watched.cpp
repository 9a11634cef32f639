// Entries of a watch as words of memory: see watch.h.
#include <algorithm>
#include <bit>
#include <cstring>

#include "bind/slots.h"
#include "bind/watch.h"

namespace chainrule {
namespace {

static_assert(sizeof(void*) == sizeof(uint64_t));

PyObject* at(PyObject* tuple, Py_ssize_t i) { return PyTuple_GET_ITEM(tuple, i); }

uint64_t word_at(const void* address) {
  uint64_t value;
  std::memcpy(&value, address, sizeof(value));
  return value;
}

// The words that an entry is compared by. Their order matters: a pointer is compared before what it points to is read.
class Words {
 public:
  Words() = default;  // counts them
  Words(Watched::Word* begin, Watched::Word* end) : next_(begin), end_(end) {}

  void add(const void* address) {
    ++count_;
    if (next_ == end_) return;
    next_->address = address;
    next_->value = word_at(address);
    ++next_;
  }
  void add_type(PyObject* object) { add(&object->ob_type); }

  void add_items(PyObject* object) {
    auto* const list = reinterpret_cast<PyListObject*>(object);
    add(&list->ob_base.ob_size);
    add(&list->ob_item);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(object); ++i) add(&list->ob_item[i]);
  }

  // Versions of dicts are unique in a process: an equal one is that of the same dict without a change. CPython 3.12 has
  // none that includes the attributes of instances.
  bool add_dict(PyObject* dict) {
#if PY_VERSION_HEX < 0x030C0000
    add(&reinterpret_cast<PyDictObject*>(dict)->ma_version_tag);
    return true;
#else
    static_cast<void>(dict);
    return false;
#endif
  }

  bool add_attributes(PyObject* object) {
#if PY_VERSION_HEX < 0x030C0000
    add_type(object);
    PyObject** const dict = _PyObject_GetDictPtr(object);
    if (dict == nullptr) return true;  // an object with slots only
    add(dict);
    return *dict == nullptr ? (add(dict), true) : add_dict(*dict);
#else
    return add_dict(object);
#endif
  }

  // An attribute in __slots__, or one of the instance that its class does not define; a property has no words.
  bool add_attribute(PyObject* object, PyObject* name) {
    PyObject* const type = reinterpret_cast<PyObject*>(Py_TYPE(object));
    const auto descriptor = pybind11::reinterpret_steal<pybind11::object>(PyObject_GetAttr(type, name));
    if (!descriptor) {
      PyErr_Clear();
      return Py_TYPE(object)->tp_getattro == PyObject_GenericGetAttr && add_attributes(object);
    }
    if (Py_TYPE(descriptor.ptr()) != &PyMemberDescr_Type) return false;
    const PyMemberDef& member = *reinterpret_cast<PyMemberDescrObject*>(descriptor.ptr())->d_member;
    if (member.type != T_OBJECT_EX) return false;
    add(&slot_of(object, member.offset));
    return true;
  }

  size_t count() const { return count_; }

 private:
  Watched::Word *next_ = nullptr, *end_ = nullptr;
  size_t count_ = 0;
};

// Whether words decide the entry.
bool words_of(PyObject* entry, Words& words) {
  PyObject* const object = at(entry, 1);
  switch (entry_kind(entry)) {
    case kInstance:
    case kAttributes: return words.add_attributes(object);
    case kMapping:
    case kName: return words.add_dict(object);
    case kList: words.add_items(object); return true;
    case kCount: words.add_items(object); return true;
    case kCell: words.add(&reinterpret_cast<PyCellObject*>(object)->ob_ref); return true;
    case kData: {
      const pybind11::handle type(reinterpret_cast<PyObject*>(Py_TYPE(object)));
      words.add(&slot_of(object, slot_offset(type, "_data")));
      return true;
    }
    case kCode: {
      auto* const function = reinterpret_cast<PyFunctionObject*>(object);
      words.add(&function->func_code);
      words.add(&function->func_defaults);
      words.add(&function->func_kwdefaults);
      return true;
    }
    case kSlot: return words.add_attribute(object, at(entry, 2));
    default: return false;
  }
}

constexpr uint64_t kNever = 0;  // a word that differs from its value: the entry has not been compared yet

}  // namespace

Watched::Watched(pybind11::handle entries) {
  const Py_ssize_t n = PyTuple_GET_SIZE(entries.ptr());
  for (Py_ssize_t i = 0; i < n; ++i) {
    PyObject* const entry = at(entries.ptr(), i);
    const EntryKind kind = entry_kind(entry);
    if (kind == kInstance || kind == kAttributes) require_version(at(entry, 2), at(entry, 3));
    if (kind == kType) {
      require_version(at(entry, 1), at(entry, 2));
      continue;
    }
    Words words;
    if (!words_of(entry, words)) {
      without_words_.push_back(entry);
      continue;
    }
    const size_t first = words_.size();
    words_.resize(first + words.count(), {&kNever, ~kNever, static_cast<uint32_t>(entries_.size())});
    entries_.push_back({entry, first, words_.size()});
  }
}

void Watched::require_version(PyObject* type, PyObject* version) {
  const Type required{reinterpret_cast<PyTypeObject*>(type), PyLong_AsUnsignedLong(version)};
  const auto same = [&](const Type& other) { return other.type == required.type && other.version == required.version; };
  if (std::none_of(types_.begin(), types_.end(), same)) types_.push_back(required);
}

bool Watched::unchanged() {
  for (const Type& required : types_) {
    if (type_version(required.type) != required.version) return false;
  }
  const Word *word = words_.data(), *const end = word + words_.size();
  while (true) {
    while (word != end && word_at(word->address) == word->value) ++word;
    if (word == end) break;
    const Entry& entry = entries_[word->entry];
    if (!compare(entry)) return false;
    word = words_.data() + entry.end;
  }
  for (PyObject* const entry : without_words_) {
    if (!entry_holds(entry, Py_None)) return false;
  }
  return true;
}

// Compares the objects of an entry, and remembers the words of their present state if it holds.
bool Watched::compare(const Entry& entry) {
  if (!entry_holds(entry.entry, Py_None)) return false;
  Words words(words_.data() + entry.first, words_.data() + entry.end);
  const bool decided = words_of(entry.entry, words) && words.count() == entry.end - entry.first;
  if (!decided) words_[entry.first] = {&kNever, ~kNever, words_[entry.first].entry};  // its class is another one now
  return true;
}

}  // namespace chainrule

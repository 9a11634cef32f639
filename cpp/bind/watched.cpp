// Entries of a watch as words of memory: see watch.h.
#include <algorithm>
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

// Versions of dicts are unique in a process: an equal one is that of the same dict without a change. CPython 3.12 has
// none that includes the attributes of instances. 0: unknown.
#if PY_VERSION_HEX < 0x030C0000
constexpr bool kVersions = true;
const uint64_t* version_of(PyObject* dict) { return &reinterpret_cast<PyDictObject*>(dict)->ma_version_tag; }
#else
constexpr bool kVersions = false;
const uint64_t* version_of(PyObject*) { return nullptr; }
#endif

// The words that an entry is compared by.
class Words {
 public:
  using Part = Watched::Part;
  struct Range {
    Watched::Word *next = nullptr, *end = nullptr;
    size_t count = 0;
  };

  Words() = default;  // counts them
  Words(Range own, Range behind) : parts_{own, behind} {}

  void add(const void* address, Part part = Watched::kHeld) {
    Range& range = parts_[part];
    ++range.count;
    if (range.next != range.end) *range.next++ = {address, word_at(address)};
  }

  void add_items(PyObject* object) {
    auto* const list = reinterpret_cast<PyListObject*>(object);
    add(&list->ob_base.ob_size);
    add(&list->ob_item);
    for (Py_ssize_t i = 0; i < PyList_GET_SIZE(object); ++i) add(&list->ob_item[i], Watched::kBehind);
  }

  bool add_attributes(PyObject* object) {
    if (!kVersions) return false;
    add(&object->ob_type);
    PyObject** const dict = _PyObject_GetDictPtr(object);
    if (dict == nullptr) return true;  // an object with slots only
    add(dict);
    add(*dict == nullptr ? static_cast<const void*>(dict) : version_of(*dict), Watched::kBehind);
    return true;
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

  size_t count(Part part) const { return parts_[part].count; }

 private:
  Range parts_[Watched::kParts];
};

// Whether words decide the entry.
bool words_of(PyObject* entry, Words& words) {
  PyObject* const object = at(entry, 1);
  switch (entry_kind(entry)) {
    case kInstance:
    case kAttributes: return words.add_attributes(object);
    case kList:
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

constexpr uint64_t kZero = 0;
constexpr Watched::Word kUnlike = {&kZero, ~kZero};  // of an entry that has not been compared yet

// Without a branch for each: most calls find all of them the same.
bool same(const std::vector<Watched::Word>& words) {
  uint64_t differences = 0;
  for (const Watched::Word& word : words) differences |= word_at(word.address) ^ word.value;
  return differences == 0;
}

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
    if (kVersions && (kind == kName || kind == kMapping)) {
      dicts_.push_back({entry, 0});
      continue;
    }
    Words words;
    if (!words_of(entry, words)) {
      without_words_.push_back(entry);
      continue;
    }
    Entry added = {entry, {}, {}};
    for (const Part part : {kHeld, kBehind}) {
      added.first[part] = words_[part].size();
      added.end[part] = added.first[part] + words.count(part);
      words_[part].resize(added.end[part], kUnlike);
    }
    entries_.push_back(added);
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
  if (!(same(words_[kHeld]) && same(words_[kBehind])) && !compare_changed()) return false;
  for (Dict& dict : dicts_) {
    const uint64_t version = *version_of(at(dict.entry, 1));
    if (version == dict.version) continue;
    if (!entry_holds(dict.entry, Py_None)) return false;
    dict.version = version;
  }
  for (PyObject* const entry : without_words_) {
    if (!entry_holds(entry, Py_None)) return false;
  }
  return true;
}

bool Watched::compare_changed() {
  for (const Entry& entry : entries_) {
    if (!same_words(entry) && !compare(entry)) return false;
  }
  return true;
}

bool Watched::same_words(const Entry& entry) const {
  for (const Part part : {kHeld, kBehind}) {
    for (size_t i = entry.first[part]; i < entry.end[part]; ++i) {
      if (word_at(words_[part][i].address) != words_[part][i].value) return false;
    }
  }
  return true;
}

// Compares the objects of an entry, and remembers the words of their present state if it holds.
bool Watched::compare(const Entry& entry) {
  if (!entry_holds(entry.entry, Py_None)) return false;
  const auto range = [&](Part part) {
    Word* const words = words_[part].data();
    return Words::Range{words + entry.first[part], words + entry.end[part]};
  };
  Words words(range(kHeld), range(kBehind));
  bool decided = words_of(entry.entry, words);
  for (const Part part : {kHeld, kBehind}) decided &= words.count(part) == entry.end[part] - entry.first[part];
  if (!decided) words_[kHeld][entry.first[kHeld]] = kUnlike;  // its class is another one now
  return true;
}

}  // namespace chainrule

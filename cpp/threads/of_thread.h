// Variables of a thread that short calls read.
#pragma once

#include <memory>
#if __has_include(<features.h>)
#include <features.h>
#endif

// A variable of a thread in a shared library is found by a function call, which takes 3 ns; a prediction of one row, of
// 350 ns, reads six. glibc has room for the few bytes of this library at a known offset; musl has none for libraries
// that are loaded later, and other systems know no such attribute.
#if defined(__GLIBC__)
#define CHAINRULE_FAST_TLS [[gnu::tls_model("initial-exec")]]
#else
#define CHAINRULE_FAST_TLS
#endif

namespace chainrule {

// An object that a thread makes at its first use and keeps. On the heap: that room is 1.5 KiB for all libraries.
template <class T>
T& of_thread() {
  CHAINRULE_FAST_TLS thread_local std::unique_ptr<T> object;
  if (object == nullptr) object = std::make_unique<T>();
  return *object;
}

}  // namespace chainrule

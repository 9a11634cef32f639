// Lists of ops as types.
#pragma once

#include <stdint.h>

namespace chainrule {
namespace {

template <class... Ops>
struct List {
  static constexpr int64_t size = sizeof...(Ops);
};

}  // namespace
}  // namespace chainrule

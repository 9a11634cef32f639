// Instructions that move elements. The two that compute, cast and index_add, call the level's kernels.
#pragma once

#include "program/program.h"

namespace chainrule {

struct CopyRow {
  const char* name;
  const char* layout;
  bool (*valid)(const Instruction& op);
  double (*elements)(const Instruction& op);  // of a contiguous copy that takes as long
  RunFn run;
  bool checks = false;
};
const CopyRow* find_copy(const std::string& name);

}  // namespace chainrule

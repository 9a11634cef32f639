// Instructions that move elements and compute nothing (but exact or once-rounded casts): no ISA level needed.
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

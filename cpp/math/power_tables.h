// What the constants in tables.h lack, for the functions that are evaluated as pairs; printed by
// tests/exhaustive/pair_coefficients.py.
#pragma once

#include "math/tables.h"

namespace chainrule {
namespace {
namespace math {

alignas(64) constexpr double kLogCLow[16] = {
    0x1.bafbb5b12ca3cp-68,  -0x1.13580783cd60cp-67,
    0x1.72daea1fd2f29p-68,  0x1.bc9858a7897e6p-66,
    -0x1.7ff5a7ebb3245p-66, -0x1.6f0bae686d987p-66,
    -0x1.488db1dbf462dp-67, -0x1.0861d7b4337d7p-66,
    -0x1.22a67d91551bdp-67, 0.0,
    0x1.9eacfdff0228ap-70,  0x1.268f30d2fdc35p-66,
    -0x1.e8b71ff28481dp-66, -0x1.e7e1432866953p-69,
    0x1.1576e88c65f52p-66,  -0x1.ff9f1dc463183p-71,
};
constexpr double kLn2Rest = 0x1.abc9e3b39803fp-56;

}  // namespace math
}  // namespace
}  // namespace chainrule

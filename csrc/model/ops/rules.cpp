#include "model/ops/rules.hpp"

#include <array>

namespace spk {
namespace {

constexpr std::array<OpRule, 15> kRules{{
    {1, "conv2d", 1, rules::conv2d},
    {2, "linear", 1, rules::linear},
    {3, "add", 2, rules::add},
    {4, "concat", kAnyInputs, rules::concat},
    {5, "max_pool", 1, rules::max_pool},
    {6, "upsample", 1, rules::upsample},
    {7, "mean", 1, rules::mean},
    {8, "slice", 1, rules::slice},
    {9, "reshape", 1, rules::reshape},
    {10, "transpose", 1, rules::transpose},
    {11, "expand", 1, rules::expand},
    {12, "pad", 1, rules::pad},
    {13, "align", 1, rules::align},
    {14, "constant", 0, rules::constant},
    {15, "fire", 1, rules::fire},
}};

}  // namespace

std::span<const OpRule> op_rules() { return kRules; }

const OpRule* find_rule(std::uint16_t kind) { return kind >= 1 && kind <= kRules.size() ? &kRules[kind - 1] : nullptr; }

}  // namespace spk

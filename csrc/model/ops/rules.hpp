// The rules of every operator: what its fields must be and what they make of its operands. Each is the C++ form of the
// file of the same name in pyspike/ops, which defines it.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "model/op_reader.hpp"

namespace spk {

inline constexpr int kAnyInputs = -1;

struct OpRule {
    std::uint16_t kind;
    std::string_view name;
    int inputs;
    Status (*check)(OpReader&);
};

// All operators of the format, in the order of their kinds; null for a kind that there is none of.
std::span<const OpRule> op_rules();
const OpRule* find_rule(std::uint16_t kind);

namespace rules {

Status conv2d(OpReader& op);
Status linear(OpReader& op);
Status add(OpReader& op);
Status concat(OpReader& op);
Status max_pool(OpReader& op);
Status upsample(OpReader& op);
Status mean(OpReader& op);
Status slice(OpReader& op);
Status reshape(OpReader& op);
Status transpose(OpReader& op);
Status expand(OpReader& op);
Status pad(OpReader& op);
Status align(OpReader& op);
Status constant(OpReader& op);
Status fire(OpReader& op);

}  // namespace rules
}  // namespace spk

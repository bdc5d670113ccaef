// Operands of add, concat and expand: broadcasting, and scales after a left shift that keeps real values.
#pragma once

#include <cstdint>
#include <span>

#include "model/op_reader.hpp"

namespace spk {

bool good_shifts(std::span<const std::int32_t> shifts);  // all in 0..31

// The shape of `a` and `b` broadcast as in NumPy, into out's; false where there is none.
bool broadcast(const Facts& a, const Facts& b, Facts* out);

// Whether `a` shifted left by `shift_a` has the scale of `b` shifted left by `shift_b`; `same_f` looks at f alone.
bool same_scale(const Facts& a, std::int32_t shift_a, const Facts& b, std::int32_t shift_b);
bool same_f(const Facts& a, std::int32_t shift_a, const Facts& b, std::int32_t shift_b);

// The scale of `x` shifted left, into out's; false where the store of channels' scales is exhausted.
bool shift_scale(OpReader& op, const Facts& x, std::int32_t shift, Facts* out);

}  // namespace spk

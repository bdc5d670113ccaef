// Operators that move integers, or gather them by maxima and sums: everything that is a strided walk over two tensors.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "runtime/context.hpp"

namespace spk {

inline constexpr int kWalkRank = 8;

// Two tensors walked together: sizes, and the steps of both in bytes along each axis (0 repeats, or gathers).
struct Walk {
    int rank = 0;
    std::array<std::ptrdiff_t, kWalkRank> dims{}, in_steps{}, out_steps{};
    const std::byte* in = nullptr;
    std::byte* out = nullptr;
    std::int32_t shift = 0;

    void axis(std::ptrdiff_t size, std::ptrdiff_t in_step, std::ptrdiff_t out_step) {
        const auto at = static_cast<std::size_t>(rank++);
        dims[at] = size;
        in_steps[at] = in_step;
        out_steps[at] = out_step;
    }
};

enum class Rule { kSet, kMax, kSum };

void walk(const Context& context, Walk walk, Dtype in, Dtype out, Rule rule);
void fill(const Context& context, const TensorView& out, std::int32_t value);

// Whether an operator adds potentials one by one.
bool is_plain_add(const Program& program, const Op& op);

void run(Context& context, const Op& op, const Add& add);
void run(Context& context, const Op& op, const Concat& concat);
void run(Context& context, const Op& op, const MaxPool& pool);
void run(Context& context, const Op& op, const Upsample& upsample);
void run(Context& context, const Op& op, const Mean& mean);
void run(Context& context, const Op& op, const Slice& slice);
void run(Context& context, const Op& op, const Reshape& reshape);
void run(Context& context, const Op& op, const Transpose& transpose);
void run(Context& context, const Op& op, const Expand& expand);
void run(Context& context, const Op& op, const Pad& pad);
void run(Context& context, const Op& op, const Align& align);
void run(Context& context, const Op& op, const Constant& constant);

}  // namespace spk

// What changed between two states of a tensor, and sums that are changed by as much.

#include "kernels/generic/cells.hpp"

namespace spk::kernels::SPK_ISA {

// Four bytes are told apart at a time: the first and the last that differ, in each lane, then over lanes.
SPK_INLINE void compare(CompareArgs& args) {
    const auto* a = static_cast<const std::uint8_t*>(args.a);
    const auto* b = static_cast<const std::uint8_t*>(args.b);
    alignas(kVectorBytes) std::int32_t firsts[kLanes32], lasts[kLanes32];
    for (std::size_t lane = 0; lane < kLanes32; ++lane) firsts[lane] = static_cast<std::int32_t>(lane << 2);
    const auto none = static_cast<std::int32_t>(args.bytes);
    v32 at = load32(firsts), first = splat32(none), last = splat32(-4);
    std::size_t i = 0;
    for (; i + kVectorBytes <= args.bytes; i += kVectorBytes) {
        const v32 differs = load32(a + i) != load32(b + i);
        first = least(first, (at & differs) | (splat32(none) & ~differs));
        last = greatest(last, (at & differs) | (splat32(-4) & ~differs));
        at += splat32(static_cast<std::int32_t>(kVectorBytes));
    }
    store32(firsts, first);
    store32(lasts, last);
    std::int32_t from = none, end = 0;
    for (std::size_t lane = 0; lane < kLanes32; ++lane) {
        from = firsts[lane] < from ? firsts[lane] : from;
        end = lasts[lane] + 4 > end ? lasts[lane] + 4 : end;
    }
    for (; i < args.bytes; ++i) {
        if (a[i] == b[i]) continue;
        const auto place = static_cast<std::int32_t>(i >> 2 << 2);
        from = place < from ? place : from;
        end = place + 4 < none ? place + 4 : none;
    }
    args.first = from;
    args.end = end;
}

// The sum of all bytes, each of which counts up to 255.
SPK_INLINE std::uint64_t sum_of_bytes(v8 bytes) {
    const v16 pairs =
        (reinterpret_cast<v16>(bytes) & splat16(255)) + ((reinterpret_cast<v16>(bytes) >> 8) & splat16(255));
    const v32 fours = (reinterpret_cast<v32>(pairs) & splat32(65535)) + (reinterpret_cast<v32>(pairs) >> 16);
    std::int32_t lanes[kLanes32];
    store32(lanes, fours);
    std::uint64_t sum = 0;
    for (std::size_t lane = 0; lane < kLanes32; ++lane) sum += static_cast<std::uint32_t>(lanes[lane]);
    return sum;
}

SPK_INLINE void differ(DifferArgs& args) {
    std::size_t i = 0;
    std::uint64_t more = 0, fewer = 0, nonzero = 0;
    while (i + kVectorBytes <= args.count) {
        v8 mores{}, fewers{}, nonzeros{};  // a comparison gives 255, that is -1, where it holds
        for (std::size_t n = 0; n < 255 && i + kVectorBytes <= args.count; ++n, i += kVectorBytes) {
            const v8 now = load8(args.now + i), then = load8(args.then + i), both = now > then ? now : then;
            store8(args.more + i, both - then);
            store8(args.fewer + i, both - now);
            mores -= reinterpret_cast<v8>(both != then);
            fewers -= reinterpret_cast<v8>(both != now);
            nonzeros -= reinterpret_cast<v8>(now != v8{});
        }
        more += sum_of_bytes(mores);
        fewer += sum_of_bytes(fewers);
        nonzero += sum_of_bytes(nonzeros);
    }
    for (; i < args.count; ++i) {
        const std::uint8_t now = args.now[i], then = args.then[i], both = now > then ? now : then;
        args.more[i] = static_cast<std::uint8_t>(both - then);
        args.fewer[i] = static_cast<std::uint8_t>(both - now);
        more += now > then ? 1u : 0u;
        fewer += now < then ? 1u : 0u;
        nonzero += now != 0 ? 1u : 0u;
    }
    args.rose = more;
    args.fell = fewer;
    args.nonzero = nonzero;
}

// -x is ~x + 1: one mask for both signs.
template <typename Out>
SPK_INLINE void adjust(const AdjustArgs& args) {
    const acc_t* acc = args.acc;
    Out* out = static_cast<Out*>(args.out);
    const std::int32_t sign = args.negate ? -1 : 0;
    for (std::size_t pixel = 0; pixel < args.pixels; ++pixel) {
        std::size_t c = 0;
        for (; c + kLanes32 <= args.channels; c += kLanes32) {
            const v32 change = load32(acc + c) << load32(args.shifts + c);
            put(out + c, take(out + c) + ((change ^ splat32(sign)) - splat32(sign)));
        }
        for (; c < args.channels; ++c) {
            const auto mask = static_cast<std::uint32_t>(sign);
            const auto change = static_cast<std::uint32_t>(take_one(acc + c)) << args.shifts[c];
            put_one(out + c, static_cast<std::uint32_t>(take_one(out + c)) + ((change ^ mask) - mask));
        }
        acc = moved(acc, static_cast<std::ptrdiff_t>(args.acc_step));
        out = moved(out, static_cast<std::ptrdiff_t>(args.out_step));
    }
}

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(compare)(spk::kernels::CompareArgs& args) { spk::kernels::SPK_ISA::compare(args); }
SPK_SYNAPSE void SPK_ENTRY(differ)(spk::kernels::DifferArgs& args) { spk::kernels::SPK_ISA::differ(args); }
SPK_SYNAPSE void SPK_ENTRY(adjust_i32)(const spk::kernels::AdjustArgs& args) {
    spk::kernels::SPK_ISA::adjust<spk::kernels::acc_t>(args);
}
SPK_SYNAPSE void SPK_ENTRY(adjust_u8)(const spk::kernels::AdjustArgs& args) {
    spk::kernels::SPK_ISA::adjust<std::uint8_t>(args);
}

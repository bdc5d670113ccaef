// Weighted sums of bytes by tables: both digits of every byte select a multiple of its weights. Additions only, but no
// event is skipped: meant for pixels, where nearly every integer is an event and has many bits.

namespace spk::kernels::SPK_ISA {

template <std::size_t outputs>
struct Digits {
    static constexpr std::size_t kVectors = outputs / kLanes16;
    static constexpr int kShift = outputs == 64 ? 7 : outputs == 32 ? 6 : 5;  // of bytes of a multiple
    v16 low[kVectors], high[kVectors];

    SPK_INLINE void add(std::size_t byte, const char* multiples) {
        const char* low_row = multiples + ((byte & 15) << kShift);
        const char* high_row = multiples + ((byte & 240) << (kShift - 4));
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kVectors; ++i) {
            low[i] = low[i] + load16(low_row + (i * kVectorBytes));
            high[i] = high[i] + load16(high_row + (i * kVectorBytes));
        }
    }
    SPK_INLINE void write(acc_t* to, bool add) const {
        char* at = reinterpret_cast<char*>(to);
#pragma GCC unroll 8
        for (std::size_t i = 0; i < kVectors; ++i, at += 2 * kVectorBytes) {
            v32 first = widen<false>(low[i]) + (widen<false>(high[i]) << 4);
            v32 second = widen<true>(low[i]) + (widen<true>(high[i]) << 4);
            if (add) {
                first = first + load32(at);
                second = second + load32(at + kVectorBytes);
            }
            store32(at, first);
            store32(at + kVectorBytes, second);
        }
    }
};

template <std::size_t outputs>
SPK_INLINE void lookup(const LookupArgs& args) {
    acc_t* acc = args.acc;
    std::ptrdiff_t from = args.first;
    for (std::size_t pixel = 0; pixel < args.pixels; ++pixel, from += args.stride) {
        const std::ptrdiff_t to = from + args.span;
        const std::ptrdiff_t first = from < 0 ? 0 : from, end = to > args.width ? args.width : to;
        Digits<outputs> sums{};
        for (const LookupRow *row = args.rows, *last = row + args.row_count; row != last; ++row) {
            const char* multiples = reinterpret_cast<const char*>(row->multiples);
            multiples += static_cast<std::size_t>(first - from) << (Digits<outputs>::kShift + 4);
            for (std::ptrdiff_t i = first; i < end; ++i) {
                sums.add(row->x[i], multiples);
                multiples += std::size_t{1} << (Digits<outputs>::kShift + 4);
            }
        }
        sums.write(acc, args.add);
        acc = moved(acc, static_cast<std::ptrdiff_t>(args.acc_step));
    }
}

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(lookup16_w64)(const spk::kernels::LookupArgs& args) {
    spk::kernels::SPK_ISA::lookup<64>(args);
}
SPK_SYNAPSE void SPK_ENTRY(lookup16_w32)(const spk::kernels::LookupArgs& args) {
    spk::kernels::SPK_ISA::lookup<32>(args);
}
SPK_SYNAPSE void SPK_ENTRY(lookup16_w16)(const spk::kernels::LookupArgs& args) {
    spk::kernels::SPK_ISA::lookup<16>(args);
}

// Event lists: which channels of which columns have a bit set, plane by plane. Eight integers give eight table entries
// whatever their number of events, so that nothing here depends on a branch that cannot be predicted.

namespace spk::kernels::SPK_ISA {

struct Places {
    alignas(16) std::uint16_t of[256][8];
    std::uint8_t count[256];
};

// The positions of the bits set in every byte, and their number.
constexpr Places make_places() {
    Places places{};
    for (unsigned mask = 0; mask < 256; ++mask) {
        unsigned count = 0;
        for (unsigned bit = 0; bit < 8; ++bit) {
            if (mask >> bit & 1) places.of[mask][count++] = static_cast<std::uint16_t>(bit);
        }
        places.count[mask] = static_cast<std::uint8_t>(count);
    }
    return places;
}
static constexpr Places kPlaces = make_places();

#if !defined(SPK_HAS_APPEND_BITS)
// Appends the events of `mask`, which belong to the numbers from `number` on. It goes on where no bit is left: when
// that is cannot be predicted.
SPK_INLINE std::uint16_t* append(std::uint16_t* to, std::uint32_t mask, std::uint16_t number) {
#pragma GCC unroll 4
    for (std::size_t i = 0; i < kMaskBytes; i += 8, mask >>= 8, number = static_cast<std::uint16_t>(number + 8)) {
        const std::uint32_t byte = mask & 0xff;
        const auto* table = reinterpret_cast<const char*>(&kPlaces) + (static_cast<std::size_t>(byte) << 4);
        const eight16 places = *reinterpret_cast<const eight16*>(table);
        *reinterpret_cast<unaligned_eight16*>(to) = places + number;
        to += kPlaces.count[byte];
    }
    return to;
}

SPK_INLINE std::uint16_t* append_bits(std::uint16_t* to, const std::uint8_t* x, std::size_t channels, std::size_t plane,
                                      std::uint16_t number) {
    for (; channels >= kMaskBytes; channels -= kMaskBytes, x += kMaskBytes) {
        to = append(to, bit_mask(x, plane), number);
        number = static_cast<std::uint16_t>(number + kMaskBytes);
    }
    if (channels == 0) return to;
    const std::uint32_t valid = (std::uint32_t{1} << channels) - 1;
    return append(to, bit_mask(x, plane) & valid, number);
}
#endif

SPK_INLINE std::uint16_t* scan_column(const std::uint8_t* x, std::size_t channels, std::size_t plane,
                                      std::uint16_t number, std::uint16_t* to) {
    return append_bits(to, x, channels, plane, number);
}

SPK_INLINE std::uint16_t* scan_column(const std::int32_t* x, std::size_t channels, std::size_t plane,
                                      std::uint16_t number, std::uint16_t* to) {
    for (std::size_t c = 0; c < channels; ++c, ++number) {
        *to = number;
        to += (static_cast<const any_u32*>(static_cast<const void*>(x))[c] >> plane) & 1;
    }
    return to;
}

template <typename X>
SPK_INLINE void scan(ScanArgs& args) {
    std::uint16_t* to = args.events + args.count;
    std::uint32_t* offsets = args.offsets;
    for (std::size_t plane = 0; plane < args.planes; ++plane) {
        const X* x = static_cast<const X*>(args.x);
        std::uint16_t number = 0;
        for (std::size_t column = 0; column < args.width; ++column) {
            offsets[column] = static_cast<std::uint32_t>(to - args.events);
            to = scan_column(x, args.channels, plane, number, to);
            x = moved(x, static_cast<std::ptrdiff_t>(args.x_step));
            number = static_cast<std::uint16_t>(number + args.block);
        }
        offsets[args.width] = static_cast<std::uint32_t>(to - args.events);
        offsets = moved(offsets, static_cast<std::ptrdiff_t>(args.plane_step));
    }
    args.count = static_cast<std::uint32_t>(to - args.events);
}

#if defined(SPK_HAS_APPEND_LANES)

// Appends the digits of a column's integers; `number` is that of the first one's digit 0.
SPK_INLINE std::uint16_t* append_column(const std::uint8_t* x, const DigitArgs& args, std::int32_t shift,
                                        std::uint16_t number, std::uint16_t* to) {
    constexpr v16 kFrom0 = {0,  1,  2,  3,  4,  5,  6,  7,  8,  9,  10, 11, 12, 13, 14, 15,
                            16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 29, 30, 31};
    v16 numbers = (kFrom0 << static_cast<std::int16_t>(args.spread)) + splat16(static_cast<std::int16_t>(number));
    const auto lowest = static_cast<std::int16_t>((1u << args.bits) - 1);
    for (std::size_t c = 0; c < args.channels; c += kLanes16) {
        const v16 digits = (widen_counts(x + c) >> static_cast<std::int16_t>(shift)) & lowest;
        to = append_lanes(to, numbers + digits, digits, args.channels - c);
        numbers = numbers + splat16(static_cast<std::int16_t>(kLanes16 << args.spread));
    }
    return to;
}

#else

// Appends the digits of eight integers; `valid` says which of them belong to the block.
SPK_INLINE std::uint16_t* append_digits(const std::uint8_t* x, const DigitArgs& args, std::int32_t shift,
                                        eight16 numbers, std::uint32_t valid, std::uint16_t* to) {
    const auto lowest = static_cast<std::uint16_t>((1u << args.bits) - 1);
    const eight16 digits = (widen_eight(x) >> shift) & lowest;
    const std::uint32_t mask = nonzero_mask(digits) & valid;
    *reinterpret_cast<unaligned_eight16*>(to) = compressed(numbers + digits, kPlaces.of[mask]);
    return to + kPlaces.count[mask];
}

SPK_INLINE std::uint16_t* append_column(const std::uint8_t* x, const DigitArgs& args, std::int32_t shift,
                                        std::uint16_t number, std::uint16_t* to) {
    const eight16 places = eight16{0, 1, 2, 3, 4, 5, 6, 7} << args.spread;
    std::size_t c = 0;
    for (; c + 8 <= args.channels; c += 8) {
        to = append_digits(x + c, args, shift, places + number, 255, to);
        number = static_cast<std::uint16_t>(number + (8u << args.spread));
    }
    if (c == args.channels) return to;
    return append_digits(x + c, args, shift, places + number, (1u << (args.channels - c)) - 1, to);
}

#endif

SPK_INLINE void scan_digits(DigitArgs& args) {
    std::uint16_t* to = args.events + args.count;
    std::uint32_t* offsets = args.offsets;
    std::int32_t shift = 0;
    for (std::size_t digit = 0; digit < args.digits; ++digit, shift += args.bits) {
        const std::uint8_t* x = args.x;
        std::uint16_t first = 0xffff;  // a digit v adds v - 1
        for (std::size_t column = 0; column < args.width; ++column) {
            offsets[column] = static_cast<std::uint32_t>(to - args.events);
            to = append_column(x, args, shift, first, to);
            x = moved(x, static_cast<std::ptrdiff_t>(args.x_step));
            first = static_cast<std::uint16_t>(first + args.block);
        }
        offsets[args.width] = static_cast<std::uint32_t>(to - args.events);
        offsets = moved(offsets, static_cast<std::ptrdiff_t>(args.digit_step));
    }
    args.count = static_cast<std::uint32_t>(to - args.events);
}

}  // namespace spk::kernels::SPK_ISA

SPK_SYNAPSE void SPK_ENTRY(scan_digits)(spk::kernels::DigitArgs& args) { spk::kernels::SPK_ISA::scan_digits(args); }
SPK_SYNAPSE void SPK_ENTRY(scan_u8)(spk::kernels::ScanArgs& args) { spk::kernels::SPK_ISA::scan<std::uint8_t>(args); }
SPK_SYNAPSE void SPK_ENTRY(scan_i32)(spk::kernels::ScanArgs& args) { spk::kernels::SPK_ISA::scan<std::int32_t>(args); }

// One input of the fuzzer is a model image. Its size and digest are made right, so that what lies behind them is
// reached; what the reader accepts and what needs little memory then runs on every instruction set, whose outputs must
// be equal.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "model/format.hpp"
#include "model/sha256.hpp"
#include "spk/model.hpp"
#include "spk/runtime.hpp"

namespace {

constexpr std::uint64_t kMostMemory = 1u << 24, kMostElements = 1u << 20;
constexpr std::uint32_t kMostTimesteps = 8;

struct Free {
    void operator()(std::byte* data) const { ::operator delete(data, std::align_val_t{64}); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory allocate(std::size_t size) {
    return Memory(static_cast<std::byte*>(::operator new(size + 64, std::align_val_t{64})));
}

void sign(std::byte* image, std::size_t size) {
    if (size < sizeof(spk::format::Header)) return;
    spk::format::Header header;
    std::memcpy(&header, image, sizeof header);
    header.file_bytes = size;
    header.sha256 = spk::sha256({image + sizeof header, size - sizeof header});
    std::memcpy(image, &header, sizeof header);
}

std::size_t item_bytes(spk::PortDtype dtype) {
    return dtype == spk::PortDtype::kInt32 ? 4 : dtype == spk::PortDtype::kInt16 ? 2 : 1;
}

// Integers that walk through the declared range, most of them the one nearest to 0.
std::vector<std::byte> input_for(const spk::PortInfo& port) {
    const std::size_t count = port.shape.elements(), item = item_bytes(port.dtype);
    std::vector<std::byte> bytes(count * item);
    const std::int64_t span = std::int64_t{port.hi} - port.lo + 1;
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t rest = std::int64_t{port.lo} > 0 ? port.lo : port.hi < 0 ? port.hi : 0;
        const auto value =
            static_cast<std::int32_t>(i % 3 == 0 ? port.lo + static_cast<std::int64_t>(i * 7919) % span : rest);
        std::memcpy(bytes.data() + i * item, &value, item);
    }
    return bytes;
}

bool is_small(const spk::Model& model, const spk::Options& options) {
    std::uint64_t elements = 0;
    for (const auto& port : model.inputs()) elements += port.shape.elements();
    for (const auto& port : model.outputs()) elements += port.shape.elements();
    const bool small = elements <= kMostElements && model.timesteps() <= kMostTimesteps;
    return small && spk::Runtime::memory(model, options).total() <= kMostMemory;
}

using Outputs = std::vector<std::vector<std::int32_t>>;

bool run(const spk::Model& model, const spk::Options& options, Outputs* outputs) {
    const std::size_t size = spk::Runtime::memory(model, options).total();
    const Memory arena = allocate(size);
    spk::Runtime runtime;
    if (!spk::Runtime::create(model, {arena.get(), size}, options, &runtime).ok()) return false;
    std::vector<std::vector<std::byte>> inputs;
    for (const auto& port : model.inputs()) inputs.push_back(input_for(port));
    for (const auto& port : model.outputs()) outputs->emplace_back(port.shape.elements());
    const std::vector<spk::InputBuffer> in(inputs.begin(), inputs.end());
    const std::vector<spk::OutputBuffer> out(outputs->begin(), outputs->end());
    return runtime.run(in, out).ok();
}

void compare_instruction_sets(const spk::Model& model) {
    Outputs expected;
    for (const std::string_view isa : spk::available_isas()) {
        for (const std::uint32_t threads : {1u, 2u}) {
            const spk::Options options{threads, isa};
            if (!is_small(model, options)) return;
            Outputs found;
            const bool ran = run(model, options, &found);
            if (expected.empty()) expected = found;
            if (ran && found == expected) continue;
            std::fprintf(stderr, "%.*s with %u threads %s\n", static_cast<int>(isa.size()), isa.data(), threads,
                         ran ? "differs" : "does not run");
            std::abort();
        }
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const Memory image = allocate(size);
    if (size > 0) std::memcpy(image.get(), data, size);
    sign(image.get(), size);
    spk::Model model;
    if (!spk::Model::open({image.get(), size}, &model).ok()) return 0;
    compare_instruction_sets(model);
    return 1;
}

// Runs models on inputs and compares every output with the integers that are expected of it, on every instruction set
// that this CPU has, with one thread and with two, and where the model allows it incrementally too:
//
//     agree [-isa=NAME] folder...
//
// A folder holds model.spk, in0, in1, ... (each input's integers in its dtype) and out0, out1, ... (int32).
// Prints how many integers were equal on each instruction set; the first that differs ends it with exit code 1.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <vector>

#include "spk/model.hpp"
#include "spk/runtime.hpp"

namespace {

struct Free {
    void operator()(std::byte* data) const { ::operator delete(data, std::align_val_t{64}); }
};
using Memory = std::unique_ptr<std::byte, Free>;

Memory allocate(std::size_t size) {
    return Memory(static_cast<std::byte*>(::operator new(size + 64, std::align_val_t{64})));
}

std::vector<char> read_file(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    if (!in) {
        std::fprintf(stderr, "%s: cannot be read\n", path.c_str());
        std::exit(EXIT_FAILURE);
    }
    return std::vector<char>(std::istreambuf_iterator<char>(in), {});
}

[[noreturn]] void fail(const std::string& where, const spk::Status& status) {
    std::fprintf(stderr, "%s: %s (number %lld)\n", where.c_str(), status.message(),
                 static_cast<long long>(status.number()));
    std::exit(EXIT_FAILURE);
}

struct Case {
    std::string folder;
    Memory image;
    spk::Model model;
    std::vector<std::vector<char>> inputs, expected;

    explicit Case(const char* path) : folder(path) {
        const std::vector<char> bytes = read_file(folder + "/model.spk");
        image = allocate(bytes.size());
        std::memcpy(image.get(), bytes.data(), bytes.size());
        if (const auto status = spk::Model::open({image.get(), bytes.size()}, &model); !status.ok())
            fail(folder, status);
        for (std::size_t i = 0; i < model.inputs().size(); ++i)
            inputs.push_back(read_file(folder + "/in" + std::to_string(i)));
        for (std::size_t i = 0; i < model.outputs().size(); ++i)
            expected.push_back(read_file(folder + "/out" + std::to_string(i)));
    }

    // The inputs with one other integer in the middle of each.
    std::vector<std::vector<char>> altered() const {
        std::vector<std::vector<char>> other = inputs;
        for (std::size_t i = 0; i < other.size(); ++i) {
            const spk::PortInfo& port = model.inputs()[i];
            const std::size_t bytes = other[i].size() / port.shape.elements();
            char* at = other[i].data() + port.shape.elements() / 2 * bytes;
            if (std::memcmp(at, &port.lo, bytes) != 0) {  // little-endian, as files are
                std::memcpy(at, &port.lo, bytes);
            } else {
                std::memcpy(at, &port.hi, bytes);
            }
        }
        return other;
    }

    void run(spk::Runtime& runtime, const std::vector<std::vector<char>>& given,
             std::vector<std::vector<std::int32_t>>* found) const {
        std::vector<spk::InputBuffer> in;
        for (const auto& each : given) in.push_back(std::as_bytes(std::span(each)));
        const std::vector<spk::OutputBuffer> out(found->begin(), found->end());
        if (const auto status = runtime.run(in, out); !status.ok()) fail(folder, status);
    }

    // Whether the model can be run incrementally, which those with state of their own cannot.
    bool incremental(spk::Options options) const {
        options.incremental = true;
        const std::size_t size = spk::Runtime::memory(model, options).total();
        const Memory arena = allocate(size);
        spk::Runtime runtime;
        const auto status = spk::Runtime::create(model, {arena.get(), size}, options, &runtime);
        if (!status.ok() && status.code() != spk::Code::kUnsupported) fail(folder, status);
        return status.ok();
    }

    // Compares all outputs of one run; returns how many integers they are.
    std::size_t check(const spk::Options& options) const {
        const std::size_t size = spk::Runtime::memory(model, options).total();
        const Memory arena = allocate(size);
        spk::Runtime runtime;
        if (const auto status = spk::Runtime::create(model, {arena.get(), size}, options, &runtime); !status.ok())
            fail(folder, status);
        std::vector<std::vector<std::int32_t>> found;
        for (const auto& port : model.outputs()) found.emplace_back(port.shape.elements());
        run(runtime, inputs, &found);
        if (options.incremental) {  // a run in between must leave nothing behind
            run(runtime, altered(), &found);
            run(runtime, inputs, &found);
        }
        std::size_t count = 0;
        for (std::size_t i = 0; i < found.size(); ++i) count += compare(i, found[i], options);
        return count;
    }

    std::size_t compare(std::size_t port, const std::vector<std::int32_t>& found, const spk::Options& options) const {
        std::vector<std::int32_t> right(expected[port].size() / sizeof(std::int32_t));
        std::memcpy(right.data(), expected[port].data(), right.size() * sizeof(std::int32_t));
        if (right.size() != found.size()) {
            std::fprintf(stderr, "%s: output %zu has %zu integers, %zu are expected\n", folder.c_str(), port,
                         found.size(), right.size());
            std::exit(EXIT_FAILURE);
        }
        for (std::size_t i = 0; i < found.size(); ++i) {
            if (found[i] == right[i]) continue;
            std::fprintf(stderr, "%s: output %zu, integer %zu: %d, and %d is expected (%.*s, %u threads)\n",
                         folder.c_str(), port, i, found[i], right[i], static_cast<int>(options.isa.size()),
                         options.isa.data(), options.threads);
            std::exit(EXIT_FAILURE);
        }
        return found.size();
    }
};

}  // namespace

int main(int argc, char** argv) {
    const bool one = argc > 1 && std::strncmp(argv[1], "-isa=", 5) == 0;
    std::vector<Case> cases;
    for (int i = one ? 2 : 1; i < argc; ++i) cases.emplace_back(argv[i]);
    std::size_t total = 0;
    for (const std::string_view isa : spk::available_isas()) {
        if (one && isa != argv[1] + 5) continue;
        for (const std::uint32_t threads : {1u, 2u}) {
            std::size_t count = 0;
            for (const Case& each : cases) {
                count += each.check({threads, isa});
                if (each.incremental({threads, isa})) each.check({threads, isa, true});
            }
            std::printf("%.*s %u %zu\n", static_cast<int>(isa.size()), isa.data(), threads, count);
            total += count;
        }
    }
    if (total == 0) std::fprintf(stderr, "nothing was compared\n");
    return total == 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

#include "spk/model.hpp"

#include <new>
#include <vector>

#include "model/facts.hpp"
#include "model/ports.hpp"
#include "model/program.hpp"
#include "model/reader.hpp"
#include "model/verifier.hpp"

namespace spk {

struct ModelImpl {
    explicit ModelImpl(std::uint64_t image_bytes) : scales(image_bytes) {}

    ChannelScales scales;  // what the program's channel_f point into
    Program program;
    std::vector<PortInfo> inputs, outputs;
};

namespace {

std::vector<PortInfo> describe(const Program& program, const std::vector<PortView>& ports) {
    std::vector<PortInfo> infos;
    infos.reserve(ports.size());
    for (const PortView& port : ports) {
        const TensorView& tensor = program.tensors[port.tensor];
        PortInfo info;
        info.name = port.name, info.axes = port.axes, info.dtype = port.dtype;
        info.shape = port_shape(port, tensor, program.timesteps);
        info.step_shape = port_shape(port, tensor, 0);
        info.time_axis = port.time_axis, info.merged = port.merged;
        info.lo = tensor.lo, info.hi = tensor.hi;
        info.f = tensor.f, info.divisor = tensor.divisor, info.channel_f = tensor.channel_f;
        info.tensor = port.tensor;
        infos.push_back(info);
    }
    return infos;
}

Status open_image(std::span<const std::byte> bytes, std::shared_ptr<const ModelImpl>* result) {
    Image image;
    if (const Status status = read_image(bytes, &image); !status.ok()) return status;
    auto impl = std::make_shared<ModelImpl>(bytes.size());
    if (const Status status = verify(image, &impl->scales, &impl->program); !status.ok()) return status;
    impl->inputs = describe(impl->program, impl->program.inputs);
    impl->outputs = describe(impl->program, impl->program.outputs);
    *result = std::move(impl);
    return {};
}

}  // namespace

Status Model::open(std::span<const std::byte> bytes, Model* model) {
#if defined(__cpp_exceptions)
    try {
        return open_image(bytes, &model->impl_);
    } catch (const std::bad_alloc&) {
        return {Code::kMemory, "not enough memory to open the model"};
    }
#else
    return open_image(bytes, &model->impl_);
#endif
}

std::span<const PortInfo> Model::inputs() const { return impl_->inputs; }
std::span<const PortInfo> Model::outputs() const { return impl_->outputs; }
std::uint32_t Model::timesteps() const { return impl_->program.timesteps; }
std::uint32_t Model::max_timesteps() const { return impl_->program.max_timesteps; }
std::string_view Model::metadata() const { return impl_->program.metadata; }
std::uint64_t Model::image_bytes() const { return impl_->program.image_bytes; }
const Program& Model::program() const { return impl_->program; }

}  // namespace spk

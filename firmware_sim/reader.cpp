#include <cstring>
#include <string>
#include <string_view>

#include "errors.hpp"
#include "firmware.hpp"
#include "model/container.hpp"
#include "model/text.hpp"

namespace spk::chip {
namespace {

void check(const Status& status) {
    if (status.ok()) return;
    const std::string place = status.place() == Place::kByte ? "byte " + std::to_string(status.number()) + ": " : "";
    throw FirmwareError(place + status.message());
}

}  // namespace

void Firmware::cut(std::span<const std::byte> bytes) {
    Cutter cutter(bytes);
    const auto record = cutter.section(sizeof(format::Chip));
    std::memcpy(&chip, record.data(), sizeof chip);
    check_chip(chip);
    cores = cutter.records<format::Core>(chip.cores);
    tiles = cutter.records<format::Tile>(chip.tiles);
    steps = cutter.records<format::Step>(chip.steps);
    ports = cutter.records<format::Port>(chip.ports);
    destinations = cutter.records<format::Destination>(chip.destinations);
    producers = cutter.records<format::Producer>(chip.producers);
    inputs = cutter.records<format::Input>(chip.inputs);
    outputs = cutter.records<format::Output>(chip.outputs);
    constants = cutter.records<std::int32_t>(chip.constants);
    shifts = cutter.records<std::uint8_t>(std::uint64_t{chip.shift_words} * chip.lanes);
    weights = cutter.records<std::int8_t>(std::uint64_t{chip.weight_words} * chip.lanes);
    check(cutter.status());
    const auto metadata = cutter.rest();
    if (metadata.size() != chip.metadata_bytes) throw FirmwareError("the metadata does not end where the file does");
    if (!is_utf8({reinterpret_cast<const char*>(metadata.data()), metadata.size()})) {
        throw FirmwareError("the metadata is no UTF-8");
    }
}

Firmware Firmware::read(std::span<const std::byte> bytes, bool check_order) {
    Firmware firmware;
    firmware.image_.resize((bytes.size() + 63) / 64);
    auto* copy = reinterpret_cast<std::byte*>(firmware.image_.data());
    if (!bytes.empty()) std::memcpy(copy, bytes.data(), bytes.size());
    const std::span<const std::byte> image{copy, bytes.size()};
    check(check_container(image, format::kKindFirmware, sizeof(format::Chip)));
    firmware.cut(image);
    check_records(firmware);
    check_network(firmware);
    if (check_order) chip::check_order(firmware);
    return firmware;
}

}  // namespace spk::chip

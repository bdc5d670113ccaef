// The spike raster of a run: neurons that fired, thinned out evenly where they are many.
//
// Contract: points are every k-th neuron that fired, in the order of cycles, cores and channels, k the smallest power
// of two that leaves no more than allowed. Bands add on threads of their own; `collect` joins them once a cycle.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "fifo.hpp"

namespace spk::chip {

struct Firing {
    Cycle cycle;
    std::int64_t step, neuron;  // of all steps; in its tile, sites in row-major order and channels within
};

class Raster {
  public:
    // At most `most` points; 0: none.
    Raster(std::uint64_t most, std::size_t bands) : most_(most), fired_(bands) {}

    bool wanted() const { return most_ > 0; }
    void add(std::uint32_t band, const Firing& firing) { fired_[band].push_back(firing); }

    void collect() {
        for (std::vector<Firing>& fired : fired_) {
            for (const Firing& firing : fired) {
                if (count_++ % every_ == 0) keep(firing);
            }
            fired.clear();
        }
    }

    const std::vector<Firing>& points() const { return points_; }

  private:
    void keep(const Firing& firing) {
        if (points_.size() < most_) {
            points_.push_back(firing);
            return;
        }
        // Of an odd number and this one, or of an even number, every other stays.
        const bool stays = points_.size() % 2 == 0;
        for (std::size_t i = 0; 2 * i < points_.size(); ++i) points_[i] = points_[2 * i];
        points_.resize((points_.size() + 1) / 2);
        if (stays) points_.push_back(firing);
        every_ *= 2;
    }

    std::uint64_t most_, every_ = 1, count_ = 0;
    std::vector<std::vector<Firing>> fired_;  // by band, of this cycle
    std::vector<Firing> points_;
};

}  // namespace spk::chip

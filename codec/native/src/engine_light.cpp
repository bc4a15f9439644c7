#include "engine_light.hpp"

#include <algorithm>
#include <cmath>

#include "engine_base.hpp"
#include "engine_robust.hpp"

namespace splatcall {
namespace {

constexpr float kPrice = 2;      // on a light's bits: one that hardly pays is better left to a later, larger one
constexpr int kBlock = 16;       // px
constexpr int kRowStep = 2;      // of the rows that sums look at
constexpr double kLeastDeviation = .3;  // 1/255: what coding leaves in a block's mean
constexpr double kGainPrior = 20;       // blocks' variance of luma below which a gain is not told from an offset
constexpr int kGainShift = 8, kGainUnit = 1 << kGainShift, kOffsetUnit = 4;
constexpr int kTrembling = 1;  // a gain so small comes and goes with flicker, and never pays
constexpr int kLowestGain = -255, kHighestGain = 256, kMostOffset = 255;

// Gain (1/256) that, with an offset, takes the luma means of the picture's blocks nearest to the target's; by weights
// worked out again in each pass.
double fit_gain(const std::vector<LightBlock>& blocks, std::vector<float>& weights) {
    std::vector<double> wanted(blocks.size()), misses(blocks.size());
    for (size_t i = 0; i < blocks.size(); ++i) wanted[i] = -blocks[i].error[0] / blocks[i].pixels;
    double gain = 0, offset = median(wanted);
    for (int pass = 0; pass < kFitPasses; ++pass) {
        for (size_t i = 0; i < blocks.size(); ++i)
            misses[i] = std::fabs(wanted[i] - gain / kGainUnit * blocks[i].color[0] / blocks[i].pixels - offset);
        const double reach = tukey_reach(misses, kLeastDeviation);
        double w = 1e-9, x = 0, y = 0, xx = 0, xy = 0;
        for (size_t i = 0; i < blocks.size(); ++i) {
            weights[i] = static_cast<float>(tukey_weight(misses[i], reach));
            const double own = weights[i] * blocks[i].pixels, mean = blocks[i].color[0] / blocks[i].pixels;
            w += own;
            x += own * mean;
            y += own * wanted[i];
            xx += own * mean * mean;
            xy += own * mean * wanted[i];
        }
        const double slope = (xy - x * y / w) / (xx - x * x / w + kGainPrior * w);
        gain = kGainUnit * slope;
        offset = (y - slope * x) / w;
    }
    return gain;
}

// What a gain adds to a value.
int32_t lit_gain(int32_t gain, int32_t value) { return (gain * value + kGainUnit / 2) >> kGainShift; }

}  // namespace

double LightBlock::change(const int32_t light[4], float chroma_weight) const {
    const double k = static_cast<double>(light[0]) / kGainUnit;
    double change = 0;
    for (int plane = 0; plane < 3; ++plane) {
        const double c = light[1 + plane];
        change += (plane ? chroma_weight : 1.) * (2 * (k * product[plane] + c * error[plane]) + k * k * square[plane] +
                                                  2 * k * c * color[plane] + c * c * pixels);
    }
    return change;
}

void LightBlock::add(const LightBlock& other, double weight) {
    pixels += weight * other.pixels;
    for (int k = 0; k < 3; ++k) {
        color[k] += weight * other.color[k];
        square[k] += weight * other.square[k];
        error[k] += weight * other.error[k];
        product[k] += weight * other.product[k];
    }
}

std::vector<LightBlock> LightSearch::measure() const {
    const CanvasView& view = e_.canvas_.view();
    const int columns = (view.width + kBlock - 1) / kBlock, rows = (view.height + kBlock - 1) / kBlock;
    std::vector<LightBlock> blocks(static_cast<size_t>(columns) * rows);
    e_.canvas_.pool().parallel_for(rows, [&](int row) {
        for (int y = row * kBlock; y < std::min(view.height, (row + 1) * kBlock); y += kRowStep)
            for (int x = 0; x < view.width; ++x) {
                const size_t at = y * view.stride + x;
                LightBlock& block = blocks[row * columns + x / kBlock];
                block.pixels += 1;
                for (int k = 0; k < 3; ++k) {
                    const float error = view.error[k][at], color = e_.canvas_.target(k)[at] + error;
                    block.color[k] += color;
                    block.square[k] += color * color;
                    block.error[k] += error;
                    block.product[k] += error * color;
                }
            }
    });
    return blocks;
}

float LightSearch::bits(const int32_t light[4]) const {
    float bits = e_.costs_.present.symbol(0, 1) - e_.costs_.present.symbol(0, 0);
    for (int k = 0; k < 4; ++k) bits += e_.costs_.light.value(k, light[k]);
    return bits;
}

double LightSearch::best_offsets(const LightBlock& all, int32_t light[4]) const {
    const float weight = e_.canvas_.view().chroma_weight;
    for (int plane = 0; plane < 3; ++plane) {
        const double left = -all.error[plane] - static_cast<double>(light[0]) / kGainUnit * all.color[plane];
        const int32_t best = bounded(left / std::max(all.pixels, 1.), -kMostOffset, kMostOffset);
        int32_t with[4] = {light[0], 0, 0, 0};
        with[1 + plane] = best;
        const int32_t without[4] = {light[0], 0, 0, 0};
        const double gain = all.change(with, weight) - all.change(without, weight);
        const float bits = e_.costs_.light.value(1 + plane, best) - e_.costs_.light.value(1 + plane, 0);
        light[1 + plane] = gain + kPrice * e_.params_.lambda * bits < 0 ? best : 0;
    }
    return all.change(light, weight) + kPrice * e_.params_.lambda * bits(light);
}

LightProposal LightSearch::propose() const {
    const std::vector<LightBlock> blocks = measure();
    LightProposal out;
    out.inliers.assign(blocks.size(), 1.f);
    const int fitted = bounded(fit_gain(blocks, out.inliers), kLowestGain, kHighestGain);
    LightBlock all{};
    for (size_t i = 0; i < blocks.size(); ++i) all.add(blocks[i], kRowStep * out.inliers[i]);
    const double weight = e_.canvas_.view().chroma_weight;
    const double product = all.product[0] + weight * (all.product[1] + all.product[2]);
    const double square = all.square[0] + weight * (all.square[1] + all.square[2]);
    const int alone = bounded(-kGainUnit * product / std::max(square, 1.), kLowestGain, kHighestGain);
    for (const int gain : {0, fitted, alone}) {
        if (std::abs(gain) == kTrembling) continue;
        int32_t light[4] = {gain, 0, 0, 0};
        const double cost = best_offsets(all, light);
        if (cost >= out.cost) continue;
        out.cost = cost;
        std::copy_n(light, 4, out.light);
    }
    return out;
}

double LightSearch::inlier_error(const std::vector<float>& inliers) const {
    std::vector<float> errors;
    e_.measure_blocks(errors);
    double sum = 0;
    for (size_t i = 0; i < errors.size(); ++i) sum += static_cast<double>(inliers[i]) * errors[i];
    return sum;
}

void LightSearch::apply(const int32_t light[4]) {
    for (int slot = 0; slot < e_.slots_; ++slot) {
        if (!e_.alive(slot)) continue;
        int32_t* f = e_.fields(slot);
        for (int k = 0; k < 3; ++k) {
            f[5 + k] += lit_gain(light[0], f[5 + k]);
            if (f[8] == kKindNormalised) f[5 + k] += kOffsetUnit * light[1 + k];
        }
        saturate(f, e_.width_, e_.height_);
    }
    const size_t plane = e_.samples_.size() / 3;
    for (size_t i = 0; i < e_.samples_.size(); ++i) {
        const int k = static_cast<int>(i / plane);
        const int32_t sample = e_.samples_[i];
        e_.samples_[i] = saturate_sample(k, sample + lit_gain(light[0], sample) + kOffsetUnit * light[1 + k]);
    }
}

void LightSearch::run() {
    const LightProposal proposal = propose();
    if (proposal.cost >= 0) return;
    if (e_.params_.screen) {
        apply(proposal.light);
        e_.shine(proposal.light[0] / static_cast<float>(kGainUnit), proposal.light + 1);
        result_.light.assign(proposal.light, proposal.light + 4);
        return;
    }
    const std::vector<int32_t> splats = e_.splats_, samples = e_.samples_;
    const double before = inlier_error(proposal.inliers);
    apply(proposal.light);
    e_.redraw();
    if (inlier_error(proposal.inliers) - before + kPrice * e_.params_.lambda * bits(proposal.light) < 0) {
        result_.light.assign(proposal.light, proposal.light + 4);
        return;
    }
    e_.splats_ = splats;
    e_.samples_ = samples;
    e_.redraw();
}

}  // namespace splatcall

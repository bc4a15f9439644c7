// The renderer: splats over the Catmull-Rom base, column by column.
#include "render.hpp"

#include <algorithm>
#include <vector>

#include "aligned.hpp"
#include "column.hpp"

namespace ISA_NAMESPACE {
namespace {

struct Taps { int index[4]; float weight[4]; };

// Catmull-Rom taps (a = -1/2) at the sample coordinate t, edge samples repeated.
Taps cubic_taps(float t, int samples) {
    const float whole = std::floor(t), f = t - whole;
    Taps taps;
    for (int k = 0; k < 4; ++k) taps.index[k] = std::min(std::max(int(whole) - 1 + k, 0), samples - 1);
    taps.weight[0] = f * (-0.5f + f * (1.f - 0.5f * f));
    taps.weight[1] = 1.f + f * f * (-2.5f + 1.5f * f);
    taps.weight[2] = f * (0.5f + f * (2.f - 1.5f * f));
    taps.weight[3] = f * f * (-0.5f + 0.5f * f);
    return taps;
}

// Sample coordinates of the output pixels 0..count-1 along one axis.
std::vector<Taps> axis_taps(int count, float scale, float offset, int size, int samples) {
    std::vector<Taps> taps(count);
    for (int i = 0; i < count; ++i) {
        const float x = offset + (float(i) + 0.5f) / scale - 0.5f;
        taps[i] = cubic_taps((x + 0.5f) * float(samples) / float(size) - 0.5f, samples);
    }
    return taps;
}

struct Picture {
    const RenderJob& job;
    std::vector<ColumnSplat> normalised, additive;
    ColumnBins normalised_bins, additive_bins;
    std::vector<Taps> across, down;
    int columns;
};

// Fills a column with the base times EPS_BASE and the weight EPS_BASE.
void draw_base(const Picture& picture, int column, float* planes, float* rows) {
    const RenderJob& job = picture.job;
    for (int line = 0; line < 3 * job.base_height; ++line) {  // horizontally, once for each base row
        const int32_t* samples = job.base + int64_t(line) * job.base_width;
        for (int lane = 0; lane < LANES; ++lane) {
            const Taps& t = picture.across[std::min(column * LANES + lane, job.out_width - 1)];
            float value = 0.f;
            for (int k = 0; k < 4; ++k) value += t.weight[k] * float(samples[t.index[k]]);
            rows[line * LANES + lane] = value * (0.25f * EPS_BASE);
        }
    }
    for (int y = 0; y < job.out_height; ++y) {
        const Taps& t = picture.down[y];
        float* p = planes + int64_t(y) * (4 * LANES);
        for (int plane = 0; plane < 3; ++plane) {
            const float* r = rows + plane * job.base_height * LANES;
            vfloat value = t.weight[0] * load(r + t.index[0] * LANES);
            for (int k = 1; k < 4; ++k) value += t.weight[k] * load(r + t.index[k] * LANES);
            store(p + plane * LANES, value);
        }
        store(p + 3 * LANES, splat(EPS_BASE));
    }
}

template <bool weighted>
void draw_splats(const std::vector<ColumnSplat>& splats, const ColumnBins& bins, int column, int height, float* planes) {
    const float x_first = float(column * LANES);
    const vfloat x = x_first + lane_numbers();
    for (int k = bins.start(column); k < bins.start(column + 1); ++k) {
        const ColumnSplat& s = splats[bins.list()[k]];
        const Rows rows = rows_in_column(s, x_first, x_first + float(LANES - 1), 0, height);
        draw_in_column<weighted>(s, x - s.g.x, rows, planes);
    }
}

void normalise(float* planes, int height) {
    for (int y = 0; y < height; ++y, planes += 4 * LANES) {
        const vfloat inverse = 1.f / load(planes + 3 * LANES);
        for (int plane = 0; plane < 3; ++plane) store(planes + plane * LANES, load(planes + plane * LANES) * inverse);
    }
}

void copy_out(const float* planes, int column, int width, int height, float* out) {
    const int lanes = std::min(LANES, width - column * LANES);
    for (int plane = 0; plane < 3; ++plane) {
        float* to = out + int64_t(plane) * height * width + column * LANES;
        const float* from = planes + plane * LANES;
        for (int y = 0; y < height; ++y, to += width, from += 4 * LANES) {
            if (lanes == LANES) std::memcpy(to, from, LANES * sizeof(float));
            else std::memcpy(to, from, lanes * sizeof(float));
        }
    }
}

void bin(const std::vector<ColumnSplat>& splats, const RenderJob& job, int columns, ColumnBins& bins) {
    std::vector<Span> spans(splats.size());
    for (std::size_t i = 0; i < splats.size(); ++i)
        spans[i] = touched_columns(splats[i].g, job.out_width, job.out_height);
    bins.build(spans, columns);
}

void render(const RenderJob& job, float* out, ThreadPool& pool) {
    Picture picture{job, {}, {}, {}, {}, {}, {}, (job.out_width + LANES - 1) / LANES};
    for (int i = 0; i < job.slots; ++i) {
        const int32_t* field = job.splats + 9 * int64_t(i);
        if (field[8] == 0) continue;
        SplatGeometry g = geometry_of_state(field, job.scale);
        g.x -= job.left * job.scale;
        g.y -= job.top * job.scale;
        (field[8] == 1 ? picture.normalised : picture.additive).push_back(column_splat(g));
    }
    bin(picture.normalised, job, picture.columns, picture.normalised_bins);
    bin(picture.additive, job, picture.columns, picture.additive_bins);
    picture.across = axis_taps(job.out_width, job.scale, job.left, job.width, job.base_width);
    picture.down = axis_taps(job.out_height, job.scale, job.top, job.height, job.base_height);
    const std::size_t plane_floats = std::size_t(job.out_height) * 4 * LANES;
    const std::size_t row_floats = std::size_t(job.base_height) * 3 * LANES;
    std::vector<AlignedFloats> scratch;
    for (int worker = 0; worker < pool.threads(); ++worker) scratch.emplace_back(plane_floats + row_floats);
    pool.parallel_for(picture.columns, [&](int column, int worker) {
        float* planes = scratch[worker].data();
        draw_base(picture, column, planes, planes + plane_floats);
        draw_splats<true>(picture.normalised, picture.normalised_bins, column, job.out_height, planes);
        normalise(planes, job.out_height);
        draw_splats<false>(picture.additive, picture.additive_bins, column, job.out_height, planes);
        copy_out(planes, column, job.out_width, job.out_height, out);
    });
}

KERNEL_INLINE uint8_t to_byte(float value) {
    return uint8_t(int(std::fmin(std::fmax(value, 0.f), 255.f) + 0.5f));
}

void to_rgb(const float* planes, int64_t stride, int64_t pixels, uint8_t* rgb) {
    constexpr int BLOCK = 256;
    uint8_t red[BLOCK], green[BLOCK], blue[BLOCK];
    for (int64_t first = 0; first < pixels; first += BLOCK) {
        const int n = int(std::min<int64_t>(BLOCK, pixels - first));
        const float *luma = planes + first, *cb = luma + stride, *cr = cb + stride;
        for (int i = 0; i < n; ++i) {
            const float r = luma[i] + 1.402f * cr[i], b = luma[i] + 1.772f * cb[i];
            red[i] = to_byte(r);
            green[i] = to_byte((luma[i] - 0.299f * r - 0.114f * b) * (1.f / 0.587f));
            blue[i] = to_byte(b);
        }
        uint8_t* to = rgb + 3 * first;
        for (int i = 0; i < n; ++i) {
            to[3 * i] = red[i];
            to[3 * i + 1] = green[i];
            to[3 * i + 2] = blue[i];
        }
    }
}

}  // namespace

const RenderKernels& render_kernels() {
    static const RenderKernels table{render, to_rgb};
    return table;
}

}  // namespace ISA_NAMESPACE

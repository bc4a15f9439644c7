// A content-aware start: seeds spread by error diffusion of a density (detail times importance), then superpixels
// grown from them (SLIC, Achanta et al. 2012, each with the spacing of its seed), then each one's mean, covariance and
// mean colour. The result does not depend on the number of threads.
#include "placement.hpp"

#include <algorithm>

#include "kernel_math.hpp"

namespace ISA_NAMESPACE {
namespace {

constexpr int BLOCK = 16;               // px of an importance block
constexpr float DETAIL_SHARE = 0.7f;    // of the density; the rest is spread evenly
constexpr float IMPORTANCE_FLOOR = 0.4f;
constexpr float MAX_DENSITY = 0.25f;    // splats a px
constexpr float SPACING = 0.76f;        // a seed's reach over 1/sqrt(density)
constexpr float MAX_REACH = 76.f;       // px
constexpr float COMPACTNESS = 12.f;     // 1/255 that one reach of distance weighs
constexpr float WINDOW = 2.2f;          // reaches that a superpixel may extend
constexpr int ROUNDS = 4;               // of moving the centres
constexpr float FAR = 1e30f;

struct Centre { float x, y, reach, color[3]; };
struct Sums { float n, x, y, color[3]; };
struct Spread { float xx, xy, yy; };

// Two passes of a box of 5 along rows or columns are a Gaussian of 2 px.
void blur_rows(std::vector<float>& map, int width, int height) {
    std::vector<float> padded(width + 4);
    for (int y = 0; y < height; ++y) {
        float* row = &map[std::size_t(y) * width];
        for (int pass = 0; pass < 2; ++pass) {
            for (int x = -2; x < width + 2; ++x) padded[x + 2] = row[std::min(std::max(x, 0), width - 1)];
            for (int x = 0; x < width; ++x)
                row[x] = 0.2f * (padded[x] + padded[x + 1] + padded[x + 2] + padded[x + 3] + padded[x + 4]);
        }
    }
}

void blur_columns(std::vector<float>& map, int width, int height) {
    std::vector<float> blurred(map.size());
    for (int pass = 0; pass < 2; ++pass) {
        for (int y = 0; y < height; ++y) {
            const float* rows[5];
            for (int k = 0; k < 5; ++k)
                rows[k] = &map[std::size_t(std::min(std::max(y + k - 2, 0), height - 1)) * width];
            float* to = &blurred[std::size_t(y) * width];
            for (int x = 0; x < width; ++x)
                to[x] = 0.2f * (rows[0][x] + rows[1][x] + rows[2][x] + rows[3][x] + rows[4][x]);
        }
        map.swap(blurred);
    }
}

// Size of the luma gradient by central differences, blurred.
std::vector<float> detail_map(const PlacementJob& job) {
    const int width = job.width, height = job.height;
    std::vector<float> detail(std::size_t(width) * height);
    for (int y = 0; y < height; ++y) {
        const float* row = job.target + std::size_t(y) * width;
        const float* above = row - (y > 0 ? width : 0);
        const float* below = row + (y < height - 1 ? width : 0);
        float* to = &detail[std::size_t(y) * width];
        to[0] = to[width - 1] = 0.f;
        for (int x = 1; x < width - 1; ++x)
            to[x] = std::fabs(row[x + 1] - row[x - 1]) + std::fabs(below[x] - above[x]);
    }
    blur_rows(detail, width, height);
    blur_columns(detail, width, height);
    return detail;
}

// Splats a px: at most MAX_DENSITY anywhere and about `count` in all.
std::vector<float> density_map(const PlacementJob& job) {
    std::vector<float> density = detail_map(job);
    double total = 0;
    for (float value : density) total += value;
    const float area = float(density.size()), floor = (1.f - DETAIL_SHARE) / area;
    const float share = total > 0 ? DETAIL_SHARE / float(total) : 0.f;
    const int blocks = (job.width + BLOCK - 1) / BLOCK;
    for (int y = 0; y < job.height; ++y)
        for (int x = 0; x < job.width; ++x) {
            float& value = density[std::size_t(y) * job.width + x];
            value = share * value + floor;
            if (job.importance)
                value *= IMPORTANCE_FLOOR + (1.f - IMPORTANCE_FLOOR) * job.importance[(y / BLOCK) * blocks + x / BLOCK];
        }
    // error diffusion leaves about a fifth of a splat in each pixel of the last row
    const double wanted = job.count + 0.2 * job.width;
    float scale = 1.f;
    for (int round = 0; round < 4; ++round) {  // what the limit cuts off goes elsewhere
        double sum = 0;
        for (float value : density) sum += std::fmin(scale * value, MAX_DENSITY);
        if (sum <= 0) break;
        scale *= float(wanted / sum);
    }
    for (float& value : density) value = std::fmin(scale * value, MAX_DENSITY);
    return density;
}

// splitmix64 (Steele et al. 2014), to -1/2 .. 1/2.
float noise(uint64_t& state) {
    uint64_t z = (state += 0x9E3779B97F4A7C15ull);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBull;
    return float((z ^ (z >> 31)) >> 40) * (1.f / 16777216.f) - 0.5f;
}

// Pixels picked by error diffusion (Floyd and Steinberg 1976, to and fro): evenly apart at every density.
std::vector<int> spread_seeds(const std::vector<float>& density, int width, int height, int count, uint64_t seed) {
    std::vector<float> errors(width), next(width);
    for (float& error : errors) error = noise(seed);
    std::vector<int> seeds;
    for (int y = 0; y < height; ++y) {
        const int forward = y % 2 == 0 ? 1 : -1;
        float carried = 0.f;
        std::fill(next.begin(), next.end(), 0.f);
        for (int step = 0; step < width; ++step) {
            const int x = forward > 0 ? step : width - 1 - step;
            const float value = density[std::size_t(y) * width + x] + errors[x] + carried;
            const bool picked = value > 0.5f + 0.2f * noise(seed);
            if (picked) seeds.push_back(y * width + x);
            const float error = value - float(picked);
            const int ahead = x + forward, behind = x - forward;  // off the border: straight down
            carried = error * (7.f / 16.f);
            next[behind < 0 || behind >= width ? x : behind] += error * (3.f / 16.f);
            next[x] += error * (5.f / 16.f);
            next[ahead < 0 || ahead >= width ? x : ahead] += error * (1.f / 16.f);
        }
        next[forward > 0 ? width - 1 : 0] += carried;
        errors.swap(next);
    }
    const int found = int(seeds.size());
    for (int k = 0; k < std::min(count, found); ++k) seeds[k] = seeds[int64_t(k) * found / std::min(count, found)];
    seeds.resize(std::min(count, found));
    return seeds;
}

class Superpixels {
public:
    Superpixels(const PlacementJob& job, const std::vector<float>& density, const std::vector<int>& seeds)
        : job_(job), area_(std::size_t(job.width) * job.height), bands_((job.height + BAND_ROWS - 1) / BAND_ROWS),
          labels_(area_), distances_(area_) {
        for (int at : seeds) {
            const float reach = std::fmin(SPACING / std::sqrt(density[at]), MAX_REACH);
            centres_.push_back({float(at % job.width), float(at / job.width), reach,
                                {job.target[at], job.target[area_ + at], job.target[2 * area_ + at]}});
        }
    }

    std::vector<float> grow(ThreadPool& pool) {
        for (int round = 0; round <= ROUNDS; ++round) {
            bin();
            std::vector<std::vector<Sums>> sums(bands_);
            spreads_.resize(bands_);
            pool.parallel_for(bands_, [&](int band) {
                assign(band);
                add(band, round == ROUNDS, sums[band]);
            });
            move(sums);
        }
        return rows();
    }

private:
    static constexpr int BAND_ROWS = 32;
    int first_row(int band) const { return band * BAND_ROWS; }
    int end_row(int band) const { return std::min((band + 1) * BAND_ROWS, job_.height); }

    // Which centres may reach which band, in order.
    void bin() {
        reach_.assign(bands_, {});
        for (int i = 0; i < int(centres_.size()); ++i) {
            const float window = WINDOW * centres_[i].reach;
            const int first = std::max(int(centres_[i].y - window), 0) / BAND_ROWS;
            const int last = std::min(int(centres_[i].y + window) + 1, job_.height - 1) / BAND_ROWS;
            for (int band = first; band <= last; ++band) reach_[band].push_back(i);
        }
    }

    void assign(int band) {
        const int width = job_.width, y_first = first_row(band), y_end = end_row(band);
        std::fill(distances_.begin() + std::size_t(y_first) * width, distances_.begin() + std::size_t(y_end) * width, FAR);
        std::fill(labels_.begin() + std::size_t(y_first) * width, labels_.begin() + std::size_t(y_end) * width, -1);
        for (int i : reach_[band]) {
            const Centre c = centres_[i];
            const float window = WINDOW * c.reach, weight = COMPACTNESS * COMPACTNESS / (c.reach * c.reach);
            const int x0 = std::max(int(c.x - window), 0), reached = int(c.x + window) + 2 - x0;
            const int x1 = std::min(x0 + (reached + 15) / 16 * 16, width);  // whole vectors
            const int y0 = std::max(int(c.y - window), y_first), y1 = std::min(int(c.y + window) + 2, y_end);
            for (int y = y0; y < y1; ++y) {
                const float *luma = job_.target + std::size_t(y) * width, *cb = luma + area_, *cr = cb + area_;
                float* distance = &distances_[std::size_t(y) * width];
                int32_t* label = &labels_[std::size_t(y) * width];
                const float across = weight * (float(y) - c.y) * (float(y) - c.y);
#pragma GCC ivdep
                for (int x = x0; x < x1; ++x) {
                    const float dx = float(x) - c.x;
                    const float d0 = luma[x] - c.color[0], d1 = cb[x] - c.color[1], d2 = cr[x] - c.color[2];
                    const float d = across + weight * dx * dx + d0 * d0 + d1 * d1 + d2 * d2;
                    const bool nearer = d < distance[x];
                    distance[x] = nearer ? d : distance[x];
                    label[x] = nearer ? i : label[x];
                }
            }
        }
    }

    // Sums over the band's pixels of each superpixel, runs of one label at a time; the spread about the centre.
    void add(int band, bool last, std::vector<Sums>& sums) {
        sums.assign(centres_.size(), Sums{});
        if (last) spreads_[band].assign(centres_.size(), Spread{});
        const int width = job_.width;
        for (int y = first_row(band); y < end_row(band); ++y) {
            const int32_t* label = &labels_[std::size_t(y) * width];
            const float *luma = job_.target + std::size_t(y) * width, *cb = luma + area_, *cr = cb + area_;
            for (int x = 0; x < width;) {
                const int i = label[x], start = x;
                float color[3] = {};
                for (; x < width && label[x] == i; ++x) {
                    color[0] += luma[x];
                    color[1] += cb[x];
                    color[2] += cr[x];
                }
                if (i < 0) continue;
                add_run(sums[i], last ? &spreads_[band][i] : nullptr, centres_[i], start, x, y, color);
            }
        }
    }

    static void add_run(Sums& s, Spread* spread, const Centre& centre, int start, int end, int y, const float* color) {
        const float n = float(end - start), middle = 0.5f * float(start + end - 1) - centre.x, dy = float(y) - centre.y;
        s.n += n;
        s.x += n * middle;
        s.y += n * dy;
        for (int c = 0; c < 3; ++c) s.color[c] += color[c];
        if (!spread) return;
        spread->xx += n * (middle * middle + (n * n - 1.f) * (1.f / 12.f));
        spread->xy += n * middle * dy;
        spread->yy += n * dy * dy;
    }

    void move(const std::vector<std::vector<Sums>>& sums) {
        totals_.assign(centres_.size(), Sums{});
        for (const auto& band : sums)
            for (std::size_t i = 0; i < band.size(); ++i) {
                totals_[i].n += band[i].n;
                totals_[i].x += band[i].x;
                totals_[i].y += band[i].y;
                for (int c = 0; c < 3; ++c) totals_[i].color[c] += band[i].color[c];
            }
        offsets_.assign(centres_.size(), {0.f, 0.f});
        for (std::size_t i = 0; i < centres_.size(); ++i) {
            if (totals_[i].n < 1.f) continue;
            const float inverse = 1.f / totals_[i].n;
            offsets_[i] = {totals_[i].x * inverse, totals_[i].y * inverse};
            centres_[i].x += offsets_[i].x;
            centres_[i].y += offsets_[i].y;
            for (int c = 0; c < 3; ++c) centres_[i].color[c] = totals_[i].color[c] * inverse;
        }
    }

    // Mean, covariance (with a pixel's own extent) as log-scale, e1, e2, and colour.
    std::vector<float> rows() const {
        std::vector<float> rows;
        for (std::size_t i = 0; i < centres_.size(); ++i) {
            Spread cov{0.25f, 0.f, 0.25f};
            if (totals_[i].n >= 1.f) {
                cov = {};
                for (const auto& band : spreads_) {
                    cov.xx += band[i].xx;
                    cov.xy += band[i].xy;
                    cov.yy += band[i].yy;
                }
                const float inverse = 1.f / totals_[i].n;
                const Offset o = offsets_[i];
                cov = {cov.xx * inverse - o.x * o.x + 0.3f, cov.xy * inverse - o.x * o.y, cov.yy * inverse - o.y * o.y + 0.3f};
            }
            const LogShape shape = shape_of(cov);
            const Centre& c = centres_[i];
            rows.insert(rows.end(), {c.x, c.y, shape.s, shape.e1, shape.e2, c.color[0], c.color[1], c.color[2]});
        }
        return rows;
    }

    static LogShape shape_of(const Spread& cov) {
        const float det = std::fmax(cov.xx * cov.yy - cov.xy * cov.xy, 1e-3f);
        const float m00 = cov.yy / det, m01 = -cov.xy / det, m11 = cov.xx / det;
        float a = std::sqrt(m00), b = m01 / a, c = std::sqrt(std::fmax(m11 - b * b, 1e-6f));
        a = std::fmin(std::fmax(a, 1.f / 60.f), 1.5f);
        c = std::fmin(std::fmax(c, 1.f / 60.f), 1.5f);
        b = std::fmin(std::fmax(b, -4.f * c), 4.f * c);
        return log_shape_of(a, b, c);
    }

    struct Offset { float x, y; };
    const PlacementJob& job_;
    std::size_t area_;
    int bands_;
    std::vector<int32_t> labels_;
    std::vector<float> distances_;
    std::vector<Centre> centres_;
    std::vector<std::vector<int>> reach_;
    std::vector<Sums> totals_;
    std::vector<Offset> offsets_;
    std::vector<std::vector<Spread>> spreads_;
};

std::vector<float> place(const PlacementJob& job, ThreadPool& pool) {
    const std::vector<float> density = density_map(job);
    const std::vector<int> seeds = spread_seeds(density, job.width, job.height, job.count, job.seed);
    return Superpixels(job, density, seeds).grow(pool);
}

}  // namespace

const PlacementKernels& placement_kernels() {
    static const PlacementKernels table{place};
    return table;
}

}  // namespace ISA_NAMESPACE

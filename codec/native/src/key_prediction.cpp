#include "key_prediction.hpp"

#include <algorithm>

#include "engine_key.hpp"
#include "engine_pframe.hpp"

namespace splatcall {
namespace {

constexpr int kCellShift = 7;  // from 1/16 px to cells of 8 px
constexpr int kRadius[kClasses] = {1, 1, 2, 3, 5};
constexpr int kBaseWeight26 = 26;
constexpr int kValues = 5;  // e1, e2, Y, Cb, Cr

int clamp(int v, int low, int high) { return std::min(std::max(v, low), high); }
int64_t floor_div(int64_t a, int64_t b) { return a >= 0 ? a / b : -((-a + b - 1) / b); }
int64_t rounded_div(int64_t a, int64_t b) { return floor_div(2 * a + b, 2 * b); }

// Sums over the splats so far in each 8 px cell: of weights, and of weights times e1, e2, Y, Cb, Cr.
class Predictor {
public:
    Predictor(const KeyContext& context, const KeyPart& part)
        : context_(context), columns_((context.width + 7) / 8), rows_((context.height + 7) / 8),
          cells_(static_cast<size_t>(columns_) * rows_) {
        for (int i = 0; i < part.known_count; ++i) {
            const int32_t* f = part.known + static_cast<size_t>(i) * part.known_fields;
            add(f, size_class(f[2]), f + 3);
        }
    }

    void predict(const int32_t* mean, int size, int64_t levels[kValues]) const {
        const Cell& cell = cells_[static_cast<size_t>(row(mean)) * columns_ + column(mean)];
        const int64_t base_weight = kBaseWeight26 >> size, total = cell.weight + base_weight;
        for (int k = 0; k < 2; ++k) levels[k] = rounded_div(floor_div(7 * cell.sums[k], 10 * total), context_.steps[k]);
        const int bx = clamp((mean[0] >> 4) * context_.base_columns / context_.width, 0, context_.base_columns - 1);
        const int by = clamp((mean[1] >> 4) * context_.base_rows / context_.height, 0, context_.base_rows - 1);
        for (int k = 0; k < 3; ++k) {
            const int64_t base = context_.base[(static_cast<size_t>(k) * context_.base_rows + by) * context_.base_columns + bx];
            const int64_t value = floor_div(cell.sums[2 + k] + base_weight * base, total);
            levels[2 + k] = rounded_div(value, context_.steps[2 + k]);
        }
    }

    void add(const int32_t* mean, int size, const int32_t* values) {
        const int reach = kRadius[size], cx = column(mean), cy = row(mean);
        for (int y = std::max(0, cy - reach); y <= std::min(rows_ - 1, cy + reach); ++y)
            for (int x = std::max(0, cx - reach); x <= std::min(columns_ - 1, cx + reach); ++x) {
                const int weight = context_.weights[size][(x - cx) * (x - cx) + (y - cy) * (y - cy)];
                Cell& cell = cells_[static_cast<size_t>(y) * columns_ + x];
                cell.weight += weight;
                for (int k = 0; k < kValues; ++k) cell.sums[k] += static_cast<int64_t>(weight) * values[k];
            }
    }

private:
    struct Cell {
        int64_t weight = 0, sums[kValues] = {};
    };
    int column(const int32_t* mean) const { return clamp(mean[0] >> kCellShift, 0, columns_ - 1); }
    int row(const int32_t* mean) const { return clamp(mean[1] >> kCellShift, 0, rows_ - 1); }

    const KeyContext& context_;
    int columns_, rows_;
    std::vector<Cell> cells_;
};

// Goes through the splats in batches, runs of one class in one row of tiles: code(i) for each of a batch, then all of them
// are added with their values.
template <class Code>
void code_batches(const KeyPart& part, Predictor& predictor, const int32_t* splats, Code code) {
    for (int from = 0, to; from < part.count; from = to) {
        const auto in_batch = [&](int i) {
            return i < part.count && part.classes[i] == part.classes[from] && part.tile_rows[i] == part.tile_rows[from];
        };
        for (to = from; in_batch(to); ++to) code(to);
        for (int i = from; i < to; ++i) {
            const int32_t* f = splats + 8 * static_cast<size_t>(i);
            predictor.add(f, part.classes[i], f + 3);
        }
    }
}

}  // namespace

std::vector<int32_t> key_residuals(const KeyContext& context, const KeyPart& part, const int32_t* splats) {
    std::vector<int32_t> residuals(static_cast<size_t>(part.count) * kValues);
    Predictor predictor(context, part);
    code_batches(part, predictor, splats, [&](int i) {
        const int32_t* f = splats + 8 * static_cast<size_t>(i);
        int64_t levels[kValues];
        predictor.predict(f, part.classes[i], levels);
        for (int k = 0; k < kValues; ++k)
            residuals[static_cast<size_t>(i) * kValues + k] = static_cast<int32_t>(floor_div(f[3 + k], context.steps[k]) - levels[k]);
    });
    return residuals;
}

std::vector<int32_t> key_values(const KeyContext& context, const KeyPart& part, const int32_t* fields,
                                const int32_t* residuals) {
    std::vector<int32_t> splats(static_cast<size_t>(part.count) * 8);
    Predictor predictor(context, part);
    code_batches(part, predictor, splats.data(), [&](int i) {
        int32_t* f = &splats[8 * static_cast<size_t>(i)];
        std::copy_n(fields + 3 * static_cast<size_t>(i), 3, f);
        int64_t levels[kValues];
        predictor.predict(f, part.classes[i], levels);
        for (int k = 0; k < kValues; ++k)
            f[3 + k] = static_cast<int32_t>((levels[k] + residuals[static_cast<size_t>(i) * kValues + k]) * context.steps[k]);
        saturate(f, context.width, context.height);
    });
    return splats;
}

}  // namespace splatcall

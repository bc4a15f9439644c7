// Trials of groups of splats, compiled once for each instruction set.
#include "engine_tile.hpp"

#include "engine_group.hpp"

namespace splatcall::ISA_NAMESPACE {
namespace {

constexpr float kOutside = 1e30f;      // weight of a pixel beside the window: no splat shows there
constexpr float kSmallestWeight = 1e-3f;

// Values of a tile, LANES floats each: weight, picture and error without the group; weighted squared error with it; 1 inside
// the window, 0 beside it (where the group has additive splats). Sums of a tile: w c (3), w, additive w c (3).
enum { kWeight = 0, kPicture = 1, kError = 4, kSquare = 7, kInside = 8 };

struct Layout {
    int values, sums;  // vectors of a tile
    int columns;       // tiles of a strip
    explicit Layout(const Group& g)
        : values(g.normalised < g.count ? 9 : 8),
          sums(g.normalised < g.count ? 7 : 4),
          columns((g.window.x1 - g.window.x0 + kTileColumns - 1) / kTileColumns) {}
};

// A range of tiles, half open.
struct TileRange {
    int begin, end;
};

// First and last tile of each splat in the rows from `top` on; a splat that does not cross them has last < first.
inline void find_spans(const Group& g, const float* __restrict xs, const float* __restrict ys, int top) {
    const float* __restrict half_y = g.half_y;
    const float* __restrict tip = g.tip;
    const float* __restrict shear = g.shear;
    const float* __restrict inverse_a = g.inverse_a;
    const float* __restrict c = g.c;
    int* __restrict first = g.first_tile;
    int* __restrict last = g.last_tile;
    const float left_px = static_cast<float>(g.window.x0), most = static_cast<float>(g.window.x1 - 1 - g.window.x0);
    const int padded = (g.count + LANES - 1) / LANES * LANES;
    for (int i = 0; i < padded; ++i) {
        const float up = static_cast<float>(top) - ys[i];
        const float low = std::max(up, -half_y[i]), high = std::min(up + (kStripRows - 1), half_y[i]);
        const float at_right = std::min(std::max(tip[i], low), high), at_left = std::min(std::max(-tip[i], low), high);
        const float vr = c[i] * at_right, vl = c[i] * at_left, x = xs[i] - left_px;
        // c is scaled as q is
        const float scale = 1.17740996f * inverse_a[i];
        const float right = x + shear[i] * at_right + scale * std::sqrt(std::max(kExponentCut - vr * vr, 0.f)) + kSlackPx;
        const float left = x + shear[i] * at_left - scale * std::sqrt(std::max(kExponentCut - vl * vl, 0.f)) - kSlackPx;
        const bool crosses = low <= high && right >= 0 && left <= most;
        first[i] = static_cast<int>(std::max(left + .999f, 0.f)) / kTileColumns;
        last[i] = crosses ? static_cast<int>(std::min(std::max(right, 0.f), most)) / kTileColumns : -1;
    }
}

// Adds the splats, at these places, to the strip's sums; returns the tiles that they touch.
inline TileRange draw(const Group& g, const Layout& layout, const TileLanes& lanes, const float* xs, const float* ys, int top) {
    find_spans(g, xs, ys, top);
    int crossing = 0;
    for (int i = 0; i < g.count; ++i) {
        g.crossing[crossing] = i;
        crossing += g.first_tile[i] <= g.last_tile[i];
    }
    TileRange all{layout.columns, 0};
    for (int n = 0; n < crossing; ++n) {
        const int i = g.crossing[n], first = g.first_tile[i], last = g.last_tile[i];
        all.begin = std::min(all.begin, first);
        all.end = std::max(all.end, last + 1);
        const float a = g.a[i];
        const vfloat dy = (static_cast<float>(top) - ys[i]) + lanes.row;
        const vfloat v = g.c[i] * dy, v2 = v * v;
        vfloat u = a * lanes.column + (g.b[i] * dy + a * (static_cast<float>(g.window.x0 + first * kTileColumns) - xs[i]));
        const vfloat color[3] = {splat(g.color[0][i]), splat(g.color[1][i]), splat(g.color[2][i])};
        const bool additive = i >= g.normalised;
        float* out = g.sums + static_cast<size_t>(first) * layout.sums * LANES;
        for (int tile = first; tile <= last; ++tile, out += layout.sums * LANES, u += a * kTileColumns) {
            const vfloat w = cut_exp2(u * u + v2);
            float* to = additive ? out + 4 * LANES : out;
            for (int k = 0; k < 3; ++k) store(to + k * LANES, load(to + k * LANES) + w * color[k]);
            if (!additive) store(to + 3 * LANES, load(to + 3 * LANES) + w);
        }
    }
    return all;
}

// Makes tiles of a strip: the picture, without what the sums hold if that is to go; those are then cleared.
template <bool kRemove>
void make_tiles(const CanvasView& canvas, const Group& g, const Layout& layout, const TileLanes& lanes, int strip, TileRange range) {
    const int top = g.window.y0 + strip * kStripRows;
    const PictureRows rows(canvas, top);
    for (int tile = range.begin; tile < range.end; ++tile) {
        const int x = g.window.x0 + tile * kTileColumns;
        float* sums = g.sums + static_cast<size_t>(tile) * layout.sums * LANES;
        float* out = g.tiles + (static_cast<size_t>(strip) * layout.columns + tile) * layout.values * LANES;
        // Another thread may change what lies beside the window.
        const vint inside = lanes.before(g.window.x1, g.window.y1, x, top);
        const vfloat now = load_tile(rows.weight, x);
        vfloat weight = kRemove ? now - load(sums + 3 * LANES) : now;
        weight = weight < kSmallestWeight ? splat(kSmallestWeight) : weight;
        const vfloat inverse = 1.f / weight;
        vfloat square{};
        for (int k = 0; k < 3; ++k) {
            const vfloat picture = load_tile(rows.picture[k], x), error = load_tile(rows.error[k], x);
            const vfloat without = kRemove ? (picture * now - load(sums + k * LANES)) * inverse : picture;
            vfloat rest = error + (without - picture);
            if (kRemove && layout.sums == 7) rest -= load(sums + (4 + k) * LANES);
            store(out + (kPicture + k) * LANES, inside ? without : vfloat{});
            store(out + (kError + k) * LANES, inside ? rest : vfloat{});
            square += (k ? canvas.chroma_weight : 1.f) * error * error;
        }
        store(out + kWeight * LANES, inside ? weight : splat(kOutside));
        store(out + kSquare * LANES, inside ? square : vfloat{});
        if (layout.values == 9) store(out + kInside * LANES, inside ? splat(1.f) : vfloat{});
        if (kRemove)
            for (int k = 0; k < layout.sums; ++k) store(sums + k * LANES, vfloat{});
    }
}

// Takes the group out of a strip.
void remove(const CanvasView& canvas, const Group& g, const Layout& layout, const TileLanes& lanes, int strip) {
    const TileRange range = draw(g, layout, lanes, g.x, g.y, g.window.y0 + strip * kStripRows);
    if (range.begin < range.end) make_tiles<true>(canvas, g, layout, lanes, strip, range);
    int* touched = g.touched + 2 * strip;
    touched[0] = g.made[2 * strip] = range.begin;
    touched[1] = g.made[2 * strip + 1] = std::max(range.begin, range.end);
}

// Makes the tiles of a strip that the group did not touch but a trial does.
void widen(const CanvasView& canvas, const Group& g, const Layout& layout, const TileLanes& lanes, int strip, TileRange range) {
    int* made = g.made + 2 * strip;
    if (made[0] >= made[1]) made[0] = made[1] = range.begin;
    if (range.begin < made[0]) make_tiles<false>(canvas, g, layout, lanes, strip, {range.begin, made[0]});
    if (range.end > made[1]) make_tiles<false>(canvas, g, layout, lanes, strip, {made[1], range.end});
    made[0] = std::min(made[0], range.begin);
    made[1] = std::max(made[1], range.end);
}

// Change of weighted squared error in tiles of a strip by what its sums hold, which it clears.
template <bool kAdditive>
inline float change_of(const Group& g, const Layout& layout, int strip, TileRange range, float chroma_weight) {
    vfloat total{};
    for (int tile = range.begin; tile < range.end; ++tile) {
        float* sums = g.sums + static_cast<size_t>(tile) * layout.sums * LANES;
        const float* at = g.tiles + (static_cast<size_t>(strip) * layout.columns + tile) * layout.values * LANES;
        const vfloat added = load(sums + 3 * LANES);
        const vfloat inverse = 1.f / (load(at + kWeight * LANES) + added);
        vfloat square = -load(at + kSquare * LANES);
        for (int k = 0; k < 3; ++k) {
            vfloat error = load(at + (kError + k) * LANES) +
                           (load(sums + k * LANES) - load(at + (kPicture + k) * LANES) * added) * inverse;
            if (kAdditive) error += load(at + kInside * LANES) * load(sums + (4 + k) * LANES);
            square += (k ? chroma_weight : 1.f) * error * error;
        }
        total += square;
        for (int k = 0; k < (kAdditive ? 7 : 4); ++k) store(sums + k * LANES, vfloat{});
    }
    return sum(total);
}

StripSums trial(const CanvasView& canvas, Group& g, const float* x, const float* y, Strips strips) {
    const Layout layout(g);
    const TileLanes lanes;
    StripSums out;
    for (int strip = strips.first; strip < g.strips(); strip += strips.step) {
        ++out.strips;
        if (g.touched[2 * strip] < 0) remove(canvas, g, layout, lanes, strip);
        TileRange range = draw(g, layout, lanes, x, y, g.window.y0 + strip * kStripRows);
        const int* touched = g.touched + 2 * strip;
        if (touched[0] < touched[1]) range = {std::min(range.begin, touched[0]), std::max(range.end, touched[1])};
        if (range.begin >= range.end) continue;
        int* made = g.made + 2 * strip;
        if (range.begin < made[0] || range.end > made[1]) widen(canvas, g, layout, lanes, strip, range);
        const float change = layout.sums == 7 ? change_of<true>(g, layout, strip, range, canvas.chroma_weight)
                                              : change_of<false>(g, layout, strip, range, canvas.chroma_weight);
        out.change += change;
        out.squares += static_cast<double>(change) * change;
    }
    return out;
}

ColorModel luma(const CanvasView& canvas, Group& g) {
    const Layout layout(g);
    const TileLanes lanes;
    vfloat matrix{}, gradient{};
    for (int strip = 0; strip < g.strips(); ++strip) {
        const int top = g.window.y0 + strip * kStripRows;
        const TileRange range = draw(g, layout, lanes, g.x, g.y, top);
        const PictureRows rows(canvas, top);
        for (int tile = range.begin; tile < range.end; ++tile) {
            const int x = g.window.x0 + tile * kTileColumns;
            float* sums = g.sums + static_cast<size_t>(tile) * layout.sums * LANES;
            const vint inside = lanes.before(g.window.x1, g.window.y1, x, top);
            const vfloat share = load(sums + 3 * LANES) / load_tile(rows.weight, x), r = inside ? share : vfloat{};
            matrix += r * r;
            gradient += r * load_tile(rows.error[0], x);
            for (int k = 0; k < layout.sums; ++k) store(sums + k * LANES, vfloat{});
        }
    }
    return {sum(matrix), {sum(gradient), 0, 0}};
}

}  // namespace

const GroupKernels& group_kernels() {
    static constexpr GroupKernels kernels = {trial, luma};
    return kernels;
}

}  // namespace splatcall::ISA_NAMESPACE

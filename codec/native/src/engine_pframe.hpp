// The P-frame closed loop: one change at a time, each judged by the exact drop in squared error against its bits.
//
// The order is that of the syntax (SPEC section 6): motion of cells, shifts of cells, changes of single splats, births.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine_blocks.hpp"
#include "engine_canvas.hpp"
#include "engine_cost.hpp"
#include "engine_group.hpp"
#include "engine_work.hpp"

namespace splatcall {

inline constexpr int kShiftLevels = 2;  // shifts of 64, 32 px cells
inline constexpr int kBlockSlots = 32, kBlockFill = 26;
inline constexpr float kRisenBits = 3;  // rise of a block's error, in bits, from which its splats are looked at
inline constexpr int kVectorUnit = 4;  // 1/16 px in one vector unit of 1/4 px

struct UpdateSteps {
    int mean, shape, luma, chroma;
    int of(int field) const { return field < 2 ? mean : field < 5 ? shape : field == 5 ? luma : chroma; }
};

struct PParams {
    float lambda;             // squared error on the 0..255 scale that one bit must save
    int sweeps = 8;
    int max_births = 12;
    int density = 2;          // context that costs of updates assume, 1..3
    bool light = true;
    bool affine = true;
    bool cell_affine = true;
    bool cell_shift = true;
    WorkBudget work{};
    bool screen = false;      // look only where the error has risen since the last frame, most first
    bool quick = false;       // motion by matching pixels, colours alone before all else, fewer and coarser trials
};

struct CellLevelResult {
    int rows = 0, columns = 0;
    std::vector<uint8_t> on, any;
    std::vector<int32_t> vectors, affine;  // [cells, 2], [cells, 4]
};

struct ShiftLevelResult {
    int rows = 0, columns = 0;
    std::vector<int32_t> shifts;  // [cells, 4] gain, Y, Cb, Cr
};

struct PResult {
    std::vector<int32_t> light;   // gain, Y, Cb, Cr, or none
    std::vector<int32_t> affine;  // a, b, c, d, tx, ty, or none
    bool affine_shape = false;
    CellLevelResult cells[kLevels];
    ShiftLevelResult shifts[kShiftLevels];
    std::vector<int32_t> update_slots, update_deltas, death_slots, births;  // [n], [n, 8], [m], [b, 9]
    double light_ms = 0, affine_ms = 0, cells_ms = 0, sweeps_ms = 0, births_ms = 0, render_ms = 0;
    int trials = 0, matrices = 0, unvisited = 0;  // unvisited: splats the budget left out in the first sweep
    double squared_error = 0;
    int64_t steps[kWorkStages] = {};     // of the work that the budget counts, by stage
    double worked_ms[kWorkStages] = {};  // wall time of that work
    double lost_ms = 0;                  // see Work::lost_ms()
    int64_t cut = -1;                    // see Work::cut()
    double bits = 0;                     // of all commands, about
    double shared_bits = 0;              // of those for the whole picture and for cells
};

// Flow from the last frame to this one: [2, height, width] px.
struct Flow {
    const float* dx;
    const float* dy;
};

class PEngine {
public:
    // reserve: slots after the state's own, for splats that decoders do not have yet (see engine_reserve.hpp).
    PEngine(int width, int height, int slots, int reserve, float chroma_weight, UpdateSteps steps, const TableCosts& costs,
            std::vector<int32_t> cell_rank, int threads);

    // Takes a state over and forgets the canvas. splats: [slots + reserve, 9]; vectors: [rows16, columns16, 2]; samples: the base,
    // [3, base_rows, base_columns]; base: the base as a picture, [3, height, width].
    void load(const int32_t* splats, const int32_t* vectors, const int32_t* samples, int base_rows, int base_columns,
              const float* base);
    void set_target(const uint8_t* rgb);
    // Sets the bits that decisions go by from now on.
    void set_costs(const TableCosts& costs) { costs_ = PCosts(costs); }
    // Squared error of the loaded state against the target.
    double squared_error();
    // Encodes the target set last. lambda_map: factor on lambda, [rows16, columns16].
    PResult encode(const std::vector<Flow>& flows, const float* lambda_map, const PParams& params);

    // For tests: the Gauss-Newton model of one live splat, natural units; the change of squared error if it became
    // `fields` (9 values), or went (null).
    QuadraticModel model(int slot);
    double trial(int slot, const int32_t* after);
    // The change if some live splats moved by dx, dy (1/16 px) together, and how it depends on the luma of the normalised ones.
    double group_trial(std::vector<int> slots, int dx, int dy);
    ColorModel group_luma(std::vector<int> slots);
    // Light that would be tried for the target at this lambda: gain, Y, Cb, Cr.
    std::vector<int32_t> propose_light(float lambda);
    // Vectors that matching pixels finds at this lambda. calm: [rows16, columns16] blocks that stay where they are.
    std::vector<BlockLevel> match_blocks(float lambda, const std::vector<uint8_t>& calm);
    // How the squared error depends on a live splat's colour.
    ColorModel color_model(int slot);
    // Global affine that most of a flow agrees with: a, b, c, d, tx, ty.
    std::vector<int32_t> fit_affine(const Flow& flow);

    const std::vector<int32_t>& splats() const { return splats_; }
    const std::vector<int32_t>& vectors() const { return vectors_; }
    const std::vector<int32_t>& samples() const { return samples_; }
    const Canvas& canvas() const { return canvas_; }
    Canvas& canvas() { return canvas_; }
    int slots() const { return slots_; }
    int own_slots() const { return own_slots_; }

private:
    friend class LightSearch;
    friend class AffineSearch;
    friend class GroupSearch;
    friend class MatchedMotion;
    friend class Sweep;
    friend class BirthSearch;
    friend class Reserve;
    using Clock = Work::Clock;

    const int32_t* fields(int slot) const { return &splats_[static_cast<size_t>(slot) * kFields]; }
    int32_t* fields(int slot) { return &splats_[static_cast<size_t>(slot) * kFields]; }
    bool alive(int slot) const { return fields(slot)[8] != kKindDead; }
    Geometry geometry(int slot) const { return make_geometry(fields(slot), height_); }
    Window window(const Geometry& g) const { return window_of(g, width_, height_); }
    float lambda_at(int x_px, int y_px) const;
    // Column or row of a mean in a grid of square cells.
    int column_of(Fields f, int cell_px) const;
    int row_of(Fields f, int cell_px) const;
    void refresh_canvas();
    // Takes up live splats for trials of them all; puts normalised ones first.
    Group group_of(std::vector<int>& slots);
    // Makes the picture lighter, offsets in 1/255, until the next rendering has the splats' own rounding.
    void shine(float gain, const int32_t offsets[3]);
    void draw_base();
    // Draws the base anew, from its samples, and all splats.
    void redraw();
    // Works the canvas out anew after splats have changed behind its back.
    void render_splats();
    // Squared error of every 16 px block.
    void measure_blocks(std::vector<float>& out) const;
    // Keeps the error of the blocks that were looked at, and of those that got better, as what later rises are counted
    // from: so a rise too small to be looked at adds up until it is. Returns the picture's squared error.
    double settle_blocks();
    // Rise of the error since a block was last looked at, over a square of whole 16 px blocks.
    float rise_in(int column_px, int row_px, int size_px) const;

    int width_, height_;
    int slots_, own_slots_;  // all; those of the state
    UpdateSteps steps_;
    PCosts costs_;
    std::vector<int32_t> cell_rank_;
    Canvas canvas_;
    std::vector<int32_t> splats_, vectors_, samples_;
    int base_rows_ = 0, base_columns_ = 0;
    bool canvas_valid_ = false, base_stale_ = false;
    int frames_since_render_ = 0;
    std::vector<float> gain_left_;  // [slots + reserve] predicted gain a bit at the last visit, squared error
    std::vector<float> rest_error_, rise_;  // [blocks of 16 px] error when the block was last looked at; its rise since
    PParams params_{};
    const float* lambda_map_ = nullptr;
    Work work_;
};

// Saturates fields 0..7 to the ranges of SPEC section 1.
void saturate(int32_t* fields, int width, int height);
// True where a splat's shape is one the encoder allows: neither thinner than a pixel can show nor wider than the cut-off.
bool allowed_shape(Fields fields);

}  // namespace splatcall

#include "engine_reserve.hpp"

#include <algorithm>
#include <cmath>

#include "engine_items.hpp"

namespace splatcall {
namespace {

constexpr int kCellPx = 32;          // that follows the flow as a whole, each splat by its own vector
constexpr float kLeastMovePx = .2f;  // of some splat of a cell that is looked at: less is mostly noise


}  // namespace

Reserve::Reserve(PEngine& engine, KeySteps steps, const TableCosts& costs)
    : e_(engine), key_(engine.canvas(), steps, costs) {}

std::vector<Reserve::Cell> Reserve::moving_cells(const Flow& flow) const {
    const int columns = (e_.width_ + kCellPx - 1) / kCellPx, rows = (e_.height_ + kCellPx - 1) / kCellPx;
    std::vector<Cell> cells(static_cast<size_t>(columns) * rows);
    std::vector<float> farthest(cells.size());
    for (int slot = e_.own_slots_; slot < e_.slots_; ++slot) {
        if (!e_.alive(slot)) continue;
        const int32_t* f = e_.fields(slot);
        const size_t at = static_cast<size_t>(e_.row_of(f, 1)) * e_.width_ + e_.column_of(f, 1);
        const int index = e_.row_of(f, kCellPx) * columns + e_.column_of(f, kCellPx);
        Cell& cell = cells[index];
        cell.slots.push_back(slot);
        cell.moved.insert(cell.moved.end(), f, f + kFields);
        int32_t* moved = &cell.moved[cell.moved.size() - kFields];
        moved[0] += static_cast<int32_t>(std::lrint(16 * flow.dx[at]));
        moved[1] += static_cast<int32_t>(std::lrint(16 * flow.dy[at]));
        saturate(moved, e_.width_, e_.height_);
        farthest[index] = std::max({farthest[index], std::fabs(flow.dx[at]), std::fabs(flow.dy[at])});
    }
    std::vector<Cell> moving;
    for (size_t i = 0; i < cells.size(); ++i)
        if (farthest[i] >= kLeastMovePx) moving.push_back(std::move(cells[i]));
    return moving;
}

void Reserve::commit(const std::vector<Geometry>& before, const std::vector<Geometry>& after) const {
    for (size_t i = 0; i < before.size(); ++i) e_.canvas_.kernels().commit(e_.canvas_.view(), &before[i], &after[i]);
}

void Reserve::try_cell(Cell& cell) const {
    const double error = e_.canvas_.squared_error(cell.window);
    commit(cell.before, cell.after);
    cell.taken = e_.canvas_.squared_error(cell.window) < error;
    if (!cell.taken) commit(cell.after, cell.before);
}

int Reserve::follow(const Flow& flow) {
    if (!e_.canvas_valid_) e_.refresh_canvas();
    std::vector<Cell> cells = moving_cells(flow);
    std::vector<Window> windows(cells.size());
    e_.canvas_.pool().parallel_for(static_cast<int>(cells.size()), [&](int i) {
        Cell& cell = cells[i];
        for (size_t k = 0; k < cell.slots.size(); ++k) {
            cell.before.push_back(e_.geometry(cell.slots[k]));
            cell.after.push_back(moved_geometry(cell.before[k], &cell.moved[k * kFields], e_.height_));
            const Window both = unite(e_.window(cell.before[k]), e_.window(cell.after[k]));
            cell.window = k ? unite(cell.window, both) : both;
        }
        windows[i] = cell.window;
    });
    int moved = 0;
    for (const auto& round : disjoint_rounds(windows)) {
        e_.canvas_.pool().parallel_for(static_cast<int>(round.size()), [&](int i) { try_cell(cells[round[i]]); });
        for (const int i : round) {
            const Cell& cell = cells[i];
            if (!cell.taken) continue;
            for (size_t k = 0; k < cell.slots.size(); ++k)
                std::copy_n(&cell.moved[k * kFields], kFields, e_.fields(cell.slots[k]));
            moved += static_cast<int>(cell.slots.size());
        }
    }
    return moved;
}

double Reserve::sweep(const std::vector<int>& slots, int passes, float lambda, const float* lambda_map) {
    if (!e_.canvas_valid_) e_.refresh_canvas();
    std::vector<uint8_t> chosen(e_.slots_);
    for (const int slot : slots) chosen[slot] = 1;
    std::vector<int> swept;
    std::vector<int32_t> splats;
    std::vector<KeyRole> roles;
    for (int slot = 0; slot < e_.slots_; ++slot) {
        if (!e_.alive(slot)) continue;
        const bool free = chosen[slot] && slot >= e_.own_slots_;
        roles.push_back(slot < e_.own_slots_ ? KeyRole::kKnown : free ? KeyRole::kFree : KeyRole::kPending);
        splats.insert(splats.end(), e_.fields(slot), e_.fields(slot) + kFields);
        swept.push_back(free ? slot : -1);
    }
    key_.join(splats, roles, e_.samples_, e_.base_rows_, e_.base_columns_);
    for (int pass = 0; pass < passes; ++pass) key_.sweep(lambda, lambda_map, {true, true});
    for (size_t i = 0; i < swept.size(); ++i)
        if (swept[i] >= 0) std::copy_n(key_.values(static_cast<int>(i)), kFields, e_.fields(swept[i]));
    return key_.bits();
}

void Reserve::move(const std::vector<int>& from, const std::vector<int>& to) {
    for (size_t i = 0; i < from.size(); ++i) {
        std::copy_n(e_.fields(from[i]), kFields, e_.fields(to[i]));
        std::fill_n(e_.fields(from[i]), kFields, 0);
        e_.gain_left_[to[i]] = e_.gain_left_[from[i]];
    }
}

}  // namespace splatcall

// New splats where the error stays: the worst 8x8 blocks, two places, every size, both kinds; taken by exact trials.
#pragma once

#include "engine_pframe.hpp"

namespace splatcall {

inline constexpr int kBirthSizes = 8;
inline constexpr int32_t kBirthScale[kBirthSizes] = {-14, 17, 47, 78, 109, 141, 171, 201};  // SPEC section 6.1

class BirthSearch {
public:
    BirthSearch(PEngine& engine, PResult& result);
    void run();

private:
    struct Birth {
        int x_px, y_px, kind, size;
        int color[3];  // steps
        float cost = 0;
    };

    std::vector<int> worst_blocks(int count) const;
    Birth best_birth(int block) const;
    void try_birth(int x_px, int y_px, int kind, int size, Birth& best) const;
    Geometry geometry(const Birth& birth, int32_t fields[kFields]) const;
    void base_at(int x_px, int y_px, int out[3]) const;
    int find_block(int x_px, int y_px) const;
    int dead_slot(int block) const;

    PEngine& e_;
    PResult& result_;
    int columns_, rows_;
    float place_bits_;
};

}  // namespace splatcall

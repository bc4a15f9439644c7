// Global light: one gain and an offset of each colour for the whole picture (SPEC 6.1, command 1).
#pragma once

#include <vector>

#include "engine_pframe.hpp"

namespace splatcall {

// Sums over one 16 px block: of the picture, and of its error against the target.
struct LightBlock {
    double pixels, color[3], square[3], error[3], product[3];  // sums of 1, c, c^2, e, e c

    void add(const LightBlock& other, double weight);
    // Change of squared error by a light.
    double change(const int32_t light[4], float chroma_weight) const;
};

// A light that fits most blocks of a picture, and what it should save there.
struct LightProposal {
    int32_t light[4] = {0, 0, 0, 0};  // gain 1/256, offsets 1/255
    std::vector<float> inliers;       // [blocks] weight 0..1: low where something else than light has changed
    double cost = 0;                  // change of squared error over the inliers plus lambda times bits
};

class LightSearch {
public:
    LightSearch(PEngine& engine, PResult& result) : e_(engine), result_(result) {}

    // Light for the target, found robustly; calm pictures end here, after one pass over the picture.
    LightProposal propose() const;
    // Takes the proposal if the picture rendered with it is better by more than its bits; where work is bounded it is
    // taken as it is, and the picture made lighter pixel by pixel.
    void run();

private:
    std::vector<LightBlock> measure() const;
    float bits(const int32_t light[4]) const;
    // Sets the offsets that pay beside the gain light[0]; returns the cost of it all.
    double best_offsets(const LightBlock& all, int32_t light[4]) const;
    double inlier_error(const std::vector<float>& inliers) const;
    // On splats and samples; the picture is another matter.
    void apply(const int32_t light[4]);

    PEngine& e_;
    PResult& result_;
};

}  // namespace splatcall

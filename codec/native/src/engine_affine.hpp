// Global affine: one linear map of all means, found from flow (SPEC 6.1, command 3).
#pragma once

#include <algorithm>
#include <cstdlib>
#include <vector>

#include "engine_pframe.hpp"

namespace splatcall {

// a, b, c, d in 1/4096, tx, ty in 1/8 px; the linear terms turn about the picture's middle.
struct Affine {
    int32_t terms[6] = {0, 0, 0, 0, 0, 0};
    bool shape = false;  // whether it turns and scales the splats themselves, too
    bool moves() const { return std::any_of(terms, terms + 6, [](int32_t t) { return t != 0; }); }
    // Whether it would change any shape that is as long as shapes get.
    bool reshapes() const { return (terms[0] + terms[3]) >> 7 || std::abs(terms[2] - terms[1]) * 128 >> 12; }
    bool operator==(const Affine& o) const { return std::equal(terms, terms + 6, o.terms) && shape == o.shape; }
};

class AffineSearch {
public:
    AffineSearch(PEngine& engine, const std::vector<Flow>& flows, PResult& result)
        : e_(engine), flows_(flows), result_(result) {}

    // The map that most of a flow agrees with.
    Affine fit(const Flow& flow) const;
    // Takes the best map if the picture rendered with it is better by more than its bits.
    void run();

private:
    float bits(const Affine& affine) const;
    void apply(const Affine& affine);
    double cost_of(const Affine& affine, const std::vector<int32_t>& before, double error);

    PEngine& e_;
    const std::vector<Flow>& flows_;
    PResult& result_;
};

}  // namespace splatcall

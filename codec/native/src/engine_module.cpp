// Python bindings of the closed-loop engines.
#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/unordered_map.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <optional>
#include <stdexcept>

#include "engine_key.hpp"
#include "engine_pframe.hpp"
#include "engine_reserve.hpp"

namespace nb = nanobind;
using namespace splatcall;

namespace {

template <class T, class... Shape>
using In = nb::ndarray<const T, nb::numpy, Shape..., nb::c_contig, nb::device::cpu>;
using Rgb = In<uint8_t, nb::shape<-1, -1, 3>>;
using Ints2 = In<int32_t, nb::ndim<2>>;
using Ints1 = In<int32_t, nb::ndim<1>>;
using Ints3 = In<int32_t, nb::ndim<3>>;
using Floats2 = In<float, nb::ndim<2>>;
using Floats3 = In<float, nb::shape<3, -1, -1>>;
using FlowArray = In<float, nb::shape<2, -1, -1>>;
using CostDict = std::unordered_map<std::string, Floats2>;

TableCosts to_costs(const CostDict& dict) {
    TableCosts costs;
    for (const auto& [name, table] : dict) {
        TableCost& cost = costs[name];
        cost.contexts = static_cast<int>(table.shape(0));
        cost.symbols = static_cast<int>(table.shape(1));
        cost.bits.assign(table.data(), table.data() + table.size());
    }
    return costs;
}

using Commands = nb::typed<nb::dict, nb::str, nb::object>;
using Figures = nb::typed<nb::dict, nb::str, double>;
using Encoded = nb::typed<nb::tuple, Commands, Figures>;
template <class T, size_t Dims>
using Out = nb::ndarray<nb::numpy, T, nb::ndim<Dims>, nb::c_contig, nb::device::cpu>;

// Hands values over to Python; their number is the product of the shape.
template <class T, size_t Dims>
Out<T, Dims> to_numpy(const std::vector<T>& values, const size_t (&shape)[Dims]) {
    auto* copy = new std::vector<T>(values);
    nb::capsule owner(copy, [](void* p) noexcept { delete static_cast<std::vector<T>*>(p); });
    return Out<T, Dims>(copy->data(), Dims, shape, owner);
}

void expect(size_t got, size_t expected, const char* what) {
    if (got != expected)
        throw std::invalid_argument(std::string(what) + ": expected " + std::to_string(expected) + ", got " + std::to_string(got));
}

void check_picture(size_t height, size_t width, const Canvas& canvas, const char* what) {
    expect(height, canvas.height(), (std::string(what) + " rows").c_str());
    expect(width, canvas.width(), (std::string(what) + " columns").c_str());
}

void check_map(const Floats2& map, const Canvas& canvas) {
    expect(map.shape(0), (canvas.height() + 15) / 16, "lambda map rows");
    expect(map.shape(1), (canvas.width() + 15) / 16, "lambda map columns");
}

void check_slot(const PEngine& e, int slot) {
    const int slots = static_cast<int>(e.splats().size() / kFields);
    if (slot < 0 || slot >= slots || e.splats()[static_cast<size_t>(slot) * kFields + 8] == kKindDead)
        throw std::invalid_argument("slot: expected a live one below " + std::to_string(slots) + ", got " + std::to_string(slot));
}

void check_group(const PEngine& e, const std::vector<int>& slots) {
    if (slots.empty()) throw std::invalid_argument("slots: expected at least one");
    for (const int slot : slots) check_slot(e, slot);
}

Encoded to_python(const PResult& r) {
    Commands out;
    nb::list cells, shifts;
    for (const CellLevelResult& level : r.cells) {
        const size_t rows = level.rows, columns = level.columns;
        cells.append(nb::make_tuple(to_numpy(level.on, {rows, columns}), to_numpy(level.vectors, {rows, columns, 2}),
                                    to_numpy(level.affine, {rows, columns, 4})));
    }
    for (const ShiftLevelResult& level : r.shifts)
        if (level.shifts.empty())
            shifts.append(nb::none());
        else
            shifts.append(to_numpy(level.shifts, {static_cast<size_t>(level.rows), static_cast<size_t>(level.columns), 4}));
    if (r.light.empty())
        out["light"] = nb::none();
    else
        out["light"] = to_numpy(r.light, {4});
    if (r.affine.empty())
        out["affine"] = nb::none();
    else
        out["affine"] = to_numpy(r.affine, {6});
    out["affine_shape"] = r.affine_shape;
    out["cells"] = cells;
    out["shifts"] = shifts;
    out["update_slots"] = to_numpy(r.update_slots, {r.update_slots.size()});
    out["update_deltas"] = to_numpy(r.update_deltas, {r.update_slots.size(), 8});
    out["death_slots"] = to_numpy(r.death_slots, {r.death_slots.size()});
    out["births"] = to_numpy(r.births, {r.births.size() / 9, 9});
    Figures figures;
    figures["render_ms"] = r.render_ms;
    figures["affine_ms"] = r.affine_ms;
    figures["light_ms"] = r.light_ms;
    figures["cells_ms"] = r.cells_ms;
    figures["sweeps_ms"] = r.sweeps_ms;
    figures["births_ms"] = r.births_ms;
    figures["trials"] = r.trials;
    figures["matrices"] = r.matrices;
    figures["unvisited"] = r.unvisited;
    figures["squared_error"] = r.squared_error;
    const char* const stages[kWorkStages] = {"cells", "sweeps", "births"};
    for (int stage = 0; stage < kWorkStages; ++stage) {
        figures[(std::string(stages[stage]) + "_steps").c_str()] = static_cast<double>(r.steps[stage]);
        figures[(std::string(stages[stage]) + "_worked_ms").c_str()] = r.worked_ms[stage];
    }
    figures["bits"] = r.bits;
    figures["shared_bits"] = r.shared_bits;
    figures["cut"] = static_cast<double>(r.cut);
    figures["lost_ms"] = r.lost_ms;
    return Encoded(nb::make_tuple(out, figures));
}

void load_p(PEngine& e, const Ints2& splats, const Ints3& vectors, const Ints3& samples, const Floats3& base) {
    expect(splats.size(), e.splats().size(), "splat values");
    expect(vectors.size(), e.vectors().size(), "vector values");
    expect(samples.shape(0), 3, "base planes");
    check_picture(base.shape(1), base.shape(2), e.canvas(), "base");
    nb::gil_scoped_release release;
    e.load(splats.data(), vectors.data(), samples.data(), static_cast<int>(samples.shape(1)),
           static_cast<int>(samples.shape(2)), base.data());
}

Encoded encode_p(PEngine& e, const std::vector<FlowArray>& flows, const Floats2& lambda_map, float lambda_, int sweeps,
                  int max_births, int density, bool light, bool affine, bool cell_affine, bool cell_shift, bool screen, bool quick, int64_t units, const std::vector<int>& prices, int64_t cut,
                  double clock_s, double bits) {
    check_map(lambda_map, e.canvas());
    std::vector<Flow> fields;
    for (const FlowArray& flow : flows) {
        check_picture(flow.shape(1), flow.shape(2), e.canvas(), "flow");
        fields.push_back({flow.data(), flow.data() + flow.shape(1) * flow.shape(2)});
    }
    if (density < 1 || density > 3) throw std::invalid_argument("density: expected 1 to 3, got " + std::to_string(density));
    PParams params{};
    params.lambda = lambda_;
    params.sweeps = sweeps;
    params.max_births = max_births;
    params.density = density;
    params.light = light;
    params.affine = affine;
    params.cell_affine = cell_affine;
    params.cell_shift = cell_shift;
    params.screen = screen;
    params.quick = quick;
    params.work.units = units;
    params.work.cut = cut;
    params.work.clock_s = clock_s;
    params.work.bits = bits;
    expect(prices.size(), kWorkStages, "prices");
    for (int stage = 0; stage < kWorkStages; ++stage) params.work.prices[stage] = std::max(1, prices[stage]);
    PResult result;
    {
        nb::gil_scoped_release release;
        result = e.encode(fields, lambda_map.data(), params);
    }
    return to_python(result);
}

void bind_p(nb::module_& m) {
    nb::class_<PEngine>(m, "PEngine", "The P-frame closed loop (see engine_pframe.hpp). Not for two threads at once.")
        .def(
            "__init__",
            [](PEngine* self, int width, int height, int slots, float chroma_weight, const std::vector<int>& steps,
               const CostDict& costs, const std::vector<int32_t>& cell_rank, int threads, int reserve) {
                expect(steps.size(), 4, "steps");
                expect(cell_rank.size(), static_cast<size_t>((width + 63) / 64) * ((height + 63) / 64), "cell ranks");
                new (self) PEngine(width, height, slots, reserve, chroma_weight, {steps[0], steps[1], steps[2], steps[3]},
                                   to_costs(costs), cell_rank, threads);
            },
            nb::arg("width"), nb::arg("height"), nb::arg("slots"), nb::arg("chroma_weight"), nb::arg("steps"),
            nb::arg("costs"), nb::arg("cell_rank"), nb::arg("threads"), nb::arg("reserve") = 0)
        .def("load", &load_p, nb::arg("splats"), nb::arg("vectors"), nb::arg("samples"), nb::arg("base"),
             "Takes a state over: splats [slots + reserve, 9], vectors [rows, columns, 2], base samples [3, bh, bw], base picture "
             "[3, H, W].")
        .def(
            "set_target",
            [](PEngine& e, const Rgb& rgb) {
                check_picture(rgb.shape(0), rgb.shape(1), e.canvas(), "target");
                nb::gil_scoped_release release;
                e.set_target(rgb.data());
            },
            nb::arg("rgb"), "Sets the frame to encode, uint8 [H, W, 3].")
        .def(
            "set_costs", [](PEngine& e, const CostDict& costs) { e.set_costs(to_costs(costs)); }, nb::arg("costs"),
            "Sets the bits that decisions go by from now on: [contexts, symbols] of each table.")
        .def("squared_error", &PEngine::squared_error, nb::call_guard<nb::gil_scoped_release>(),
             "Weighted squared error of the state against the target, 0..255 scale.")
        .def("encode", &encode_p, nb::arg("flows"), nb::arg("lambda_map"), nb::arg("lambda_"), nb::arg("sweeps") = 8,
             nb::arg("max_births") = 12, nb::arg("density") = 2, nb::arg("light") = true, nb::arg("affine") = true, nb::arg("cell_affine") = true, nb::arg("cell_shift") = true, nb::arg("screen") = false, nb::arg("quick") = false,
             nb::arg("units") = 0, nb::arg("prices") = std::vector<int>(kWorkStages, 1), nb::arg("cut") = -1,
             nb::arg("clock_s") = 0., nb::arg("bits") = 0.,
             "Encodes the target; returns the commands and figures. The state inside moves on with them.")
        .def(
            "model",
            [](PEngine& e, int slot) -> nb::typed<nb::tuple, Out<float, 1>, Out<float, 2>> {
                check_slot(e, slot);
                const QuadraticModel model = e.model(slot);
                return nb::make_tuple(to_numpy(std::vector<float>(model.gradient, model.gradient + 8), {8}),
                                      to_numpy(std::vector<float>(model.hessian, model.hessian + 64), {8, 8}));
            },
            nb::arg("slot"), "Gradient [8] and Gauss-Newton matrix [8, 8] of one live splat: px, log units, 1/255.")
        .def(
            "trial",
            [](PEngine& e, int slot, std::optional<std::vector<int32_t>> after) {
                check_slot(e, slot);
                if (after) expect(after->size(), kFields, "splat fields");
                return e.trial(slot, after ? after->data() : nullptr);
            },
            nb::arg("slot"), nb::arg("after").none(),
            "Change of squared error if a live splat became `after` (9 fields), or went (None).")
        .def(
            "group_trial",
            [](PEngine& e, const std::vector<int>& slots, int dx, int dy) {
                check_group(e, slots);
                return e.group_trial(slots, dx, dy);
            },
            nb::arg("slots"), nb::arg("dx"), nb::arg("dy"),
            "Change of squared error if some live splats moved by dx, dy, in 1/16 px, together.")
        .def(
            "group_luma",
            [](PEngine& e, const std::vector<int>& slots) -> nb::typed<nb::tuple, float, float> {
                check_group(e, slots);
                const ColorModel model = e.group_luma(slots);
                return nb::make_tuple(model.gradient[0], model.matrix);
            },
            nb::arg("slots"),
            "Gradient g and matrix m: adding d to the luma of these live splats' normalised ones changes the error by d (2 g + d m).")
        .def(
            "match_blocks",
            [](PEngine& e, float lambda, const std::vector<uint8_t>& calm) {
                const size_t blocks = e.vectors().size() / 2;
                expect(calm.size(), blocks, "calm blocks");
                std::vector<Out<int32_t, 3>> out;
                for (const BlockLevel& level : e.match_blocks(lambda, calm)) {
                    std::vector<int32_t> added;
                    for (size_t i = 0; i < level.on.size(); ++i)
                        for (const int v : {level.added[i].x, level.added[i].y}) added.push_back(level.on[i] ? v : 0);
                    const auto rows = static_cast<size_t>(level.rows), columns = static_cast<size_t>(level.columns);
                    out.push_back(to_numpy(added, {rows, columns, 2}));
                }
                return out;
            },
            nb::arg("lambda_"), nb::arg("calm"),
            "Vectors that matching pixels finds, 1/4 px: what the cells of each level add, [rows, columns, 2] four times.")
        .def(
            "color_model",
            [](PEngine& e, int slot) {
                check_slot(e, slot);
                const ColorModel model = e.color_model(slot);
                return std::vector<float>{model.matrix, model.gradient[0], model.gradient[1], model.gradient[2]};
            },
            nb::arg("slot"), "How each plane's squared error depends on a live splat's colour: matrix, then three gradients.")
        .def("propose_light", &PEngine::propose_light, nb::arg("lambda_"), nb::call_guard<nb::gil_scoped_release>(),
             "Light that would be tried for the target at this lambda: gain, Y, Cb, Cr; all 0 for none.")
        .def(
            "fit_affine",
            [](PEngine& e, const FlowArray& flow) {
                check_picture(flow.shape(1), flow.shape(2), e.canvas(), "flow");
                return e.fit_affine({flow.data(), flow.data() + flow.shape(1) * flow.shape(2)});
            },
            nb::arg("flow"), "Global affine that most of a flow [2, H, W] px agrees with: a, b, c, d, tx, ty.")
        .def("samples", [](const PEngine& e) { return to_numpy(e.samples(), {e.samples().size()}); },
             "The base's samples inside, flat [3 * bh * bw].")
        .def("splats", [](const PEngine& e) { return to_numpy(e.splats(), {e.splats().size() / kFields, static_cast<size_t>(kFields)}); },
             "The state inside and the reserve after it, [slots + reserve, 9].")
        .def("vectors", [](const PEngine& e) {
            const size_t columns = (e.canvas().width() + 15) / 16;
            return to_numpy(e.vectors(), {e.vectors().size() / 2 / columns, columns, 2});
        }, "The vectors inside, [rows, columns, 2].")
        .def("luma", [](const PEngine& e) {
            std::vector<uint8_t> out(static_cast<size_t>(e.canvas().width()) * e.canvas().height());
            e.canvas().luma(out.data());
            return to_numpy(out, {static_cast<size_t>(e.canvas().height()), static_cast<size_t>(e.canvas().width())});
        }, "Luma of the state inside, uint8 [H, W].")
        .def("picture", [](const PEngine& e) {
            std::vector<float> out(static_cast<size_t>(3) * e.canvas().width() * e.canvas().height());
            e.canvas().picture(out.data());
            return to_numpy(out, {3, static_cast<size_t>(e.canvas().height()), static_cast<size_t>(e.canvas().width())});
        }, "The picture of the state inside, YCbCr float32 [3, H, W].");
}

KeySteps key_steps(const std::vector<int>& mean_steps, const std::vector<int>& steps) {
    expect(mean_steps.size(), kClasses, "mean steps");
    expect(steps.size(), 4, "steps");
    KeySteps key{{}, steps[0], steps[1], steps[2], steps[3]};
    std::copy(mean_steps.begin(), mean_steps.end(), key.mean);
    return key;
}

// Slots given for splats of the reserve, or for their places in the state.
std::vector<int> checked_slots(const Ints1& slots, const PEngine& e, bool of_reserve) {
    const int low = of_reserve ? e.own_slots() : 0, high = of_reserve ? e.slots() : e.own_slots();
    std::vector<int> out(slots.data(), slots.data() + slots.size());
    for (const int slot : out) {
        const bool lives = slot >= low && slot < high && e.splats()[static_cast<size_t>(slot) * kFields + 8] != kKindDead;
        if (slot < low || slot >= high || lives != of_reserve)
            throw std::invalid_argument("slot: expected a " + std::string(of_reserve ? "live" : "dead") + " one of " +
                                        std::to_string(low) + ".." + std::to_string(high) + ", got " + std::to_string(slot));
    }
    return out;
}

void bind_reserve(nb::module_& m) {
    nb::class_<Reserve>(m, "Reserve", "Splats of a PEngine that decoders do not have yet (see engine_reserve.hpp).")
        .def(
            "__init__",
            [](Reserve* self, PEngine& engine, const std::vector<int>& mean_steps, const std::vector<int>& steps,
               const CostDict& costs) {
                new (self) Reserve(engine, key_steps(mean_steps, steps), to_costs(costs));
            },
            nb::arg("engine"), nb::arg("mean_steps"), nb::arg("steps"), nb::arg("costs"), nb::keep_alive<1, 2>())
        .def(
            "follow",
            [](Reserve& r, const FlowArray& flow) {
                check_picture(flow.shape(1), flow.shape(2), r.engine().canvas(), "flow");
                nb::gil_scoped_release release;
                return r.follow({flow.data(), flow.data() + flow.shape(1) * flow.shape(2)});
            },
            nb::arg("flow"),
            "Moves all of them along a flow to the target [2, H, W] px, where that brings the picture nearer to it; returns "
            "how many moved.")
        .def(
            "sweep",
            [](Reserve& r, const Ints1& slots, int passes, float lambda_, const Floats2& lambda_map) {
                check_map(lambda_map, r.engine().canvas());
                const std::vector<int> chosen = checked_slots(slots, r.engine(), true);
                nb::gil_scoped_release release;
                return r.sweep(chosen, passes, lambda_, lambda_map.data());
            },
            nb::arg("slots"), nb::arg("passes"), nb::arg("lambda_"), nb::arg("lambda_map"),
            "Sweeps those in some slots like a key frame's splats, with deletion; returns the bits of what is left of them.")
        .def(
            "move",
            [](Reserve& r, const Ints1& slots, const Ints1& to) {
                expect(to.size(), slots.size(), "slots to move to");
                r.move(checked_slots(slots, r.engine(), true), checked_slots(to, r.engine(), false));
            },
            nb::arg("slots"), nb::arg("to"), "Gives splats of the reserve dead slots of the state.");
}

void bind_key(nb::module_& m) {
    nb::class_<KeyEngine>(m, "KeyEngine", "The key frame's closed loop (see engine_key.hpp). Not for two threads at once.")
        .def(
            "__init__",
            [](KeyEngine* self, int width, int height, float chroma_weight, const std::vector<int>& mean_steps,
               const std::vector<int>& steps, const CostDict& costs, int threads) {
                new (self) KeyEngine(width, height, chroma_weight, key_steps(mean_steps, steps), to_costs(costs), threads);
            },
            nb::arg("width"), nb::arg("height"), nb::arg("chroma_weight"), nb::arg("mean_steps"), nb::arg("steps"),
            nb::arg("costs"), nb::arg("threads"))
        .def(
            "set_target",
            [](KeyEngine& e, const Rgb& rgb) {
                check_picture(rgb.shape(0), rgb.shape(1), e.canvas(), "target");
                nb::gil_scoped_release release;
                e.set_target(rgb.data());
            },
            nb::arg("rgb"), "Sets the frame to encode, uint8 [H, W, 3].")
        .def(
            "load",
            [](KeyEngine& e, const Ints2& splats, const Ints1& roles, const Ints3& samples, const Floats3& base, float lead_weight) {
                expect(splats.shape(1), kFields, "splat fields");
                expect(roles.shape(0), splats.shape(0), "roles");
                expect(samples.shape(0), 3, "base planes");
                check_picture(base.shape(1), base.shape(2), e.canvas(), "base");
                nb::gil_scoped_release release;
                e.load(splats.data(), roles.data(), static_cast<int>(splats.shape(0)), samples.data(),
                       static_cast<int>(samples.shape(1)), static_cast<int>(samples.shape(2)), base.data(), lead_weight);
            },
            nb::arg("splats"), nb::arg("roles"), nb::arg("samples"), nb::arg("base"), nb::arg("lead_weight") = 0.f,
            "Takes splats [n, 9] (state values), roles [n] (0 free, 1 lead: both snapped to the key lattice; 2 known to "
            "decoders, 3 still to come: both fixed), base samples and base picture. lead_weight: of the error of the lead's "
            "picture alone.")
        .def(
            "sweep",
            [](KeyEngine& e, float lambda_, const Floats2& lambda_map, bool changes, bool deletes) {
                check_map(lambda_map, e.canvas());
                nb::gil_scoped_release release;
                return e.sweep(lambda_, lambda_map.data(), {changes, deletes});
            },
            nb::arg("lambda_"), nb::arg("lambda_map"), nb::arg("changes"), nb::arg("deletes"),
            "One sweep that changes splats, deletes them, or both; returns how many changed or went.")
        .def("splats", [](const KeyEngine& e) {
            const std::vector<int32_t> splats = e.splats();
            return to_numpy(splats, {splats.size() / kFields, static_cast<size_t>(kFields)});
        }, "Free splats and leads that are left, [n, 9]: fields and role.")
        .def("bits", &KeyEngine::bits, "Estimated bits of all splats.")
        .def(
            "lead_errors",
            [](const KeyEngine& e, int cell_px) {
                const std::vector<float> errors = e.lead_errors(std::max(1, cell_px));
                return to_numpy(errors, {errors.size()});
            },
            nb::arg("cell_px"), "Squared error of the lead's picture alone in each square cell, flat; empty without a lead.")
        .def("squared_error", &KeyEngine::squared_error, "Weighted squared error, 0..255 scale.")
        .def("picture", [](KeyEngine& e) {
            std::vector<float> out(static_cast<size_t>(3) * e.canvas().width() * e.canvas().height());
            e.canvas().picture(out.data());
            return to_numpy(out, {3, static_cast<size_t>(e.canvas().height()), static_cast<size_t>(e.canvas().width())});
        }, "The picture of the splats, YCbCr float32 [3, H, W].");
}

}  // namespace

Out<float, 3> to_ycc(const Rgb& rgb, int threads) {
    const int height = static_cast<int>(rgb.shape(0)), width = static_cast<int>(rgb.shape(1));
    const size_t plane = static_cast<size_t>(height) * width;
    std::vector<float> out(3 * plane);
    {
        nb::gil_scoped_release release;
        shared_pool(threads).parallel_for(height, [&](int y) {
            float* const rows[3] = {&out[y * static_cast<size_t>(width)], &out[plane + y * static_cast<size_t>(width)],
                                    &out[2 * plane + y * static_cast<size_t>(width)]};
            convert_row(rgb.data() + static_cast<size_t>(y) * width * 3, width, rows);
        });
    }
    return to_numpy(out, {3, static_cast<size_t>(height), static_cast<size_t>(width)});
}

void register_engine(nb::module_& m) {
    m.def("to_ycc", &to_ycc, nb::arg("rgb"), nb::arg("threads"),
          "Y, Cb, Cr of a picture uint8 [H, W, 3] (BT.601, full range), float32 [3, H, W].");
    bind_p(m);
    bind_key(m);
    bind_reserve(m);
}

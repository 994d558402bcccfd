"""Sample the same rows under the same priors by bayeslaw, `pm.sample`, NumPyro's NUTS and Stan.

Run: uv run python tests/benchmarks/side_by_side.py [bayeslaw pymc numpyro stan] [--laws compute chinchilla]
     [--numpyro PYTHON] [--stan PYTHON] [--times 3]

The laws without a discrepancy: `compute` on GSM8K, k = 1, and `chinchilla` on its public table. NumPyro and Stan are no
dependencies: each is run by a Python of its own that has `numpyro`, or `pystan` (which brings Stan and needs a C++ compiler).
Their models are written by hand below, in the coordinates that fits here are walked in. Every engine draws 4 × (1000 + 1000)
at a target acceptance of 0.95, four chains at once on the cores there are. Printed are medians, in seconds of wall clock:

- ``machine``: from starting a process to the first posterior where nothing was compiled before on this machine;
- ``cold``: the same where it was, in another process;
- ``again``: the same rows once more in that process;
- ``sweep``: a fit of growing windows, half of the rows to nine tenths, each of a size that was not seen before;
- ``ESS`` and ``ESS/s``: effective draws (bulk) of the worst parameter, and those a second of ``again``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

DATA = Path(__file__).parents[3] / "shared" / "data"
ENGINES = {"bayeslaw": "bayeslaw", "pymc": "pymc", "numpyro": "numpyro", "stan": "pystan"}
SHARES = (0.5, 0.6, 0.7, 0.8, 0.9)
RUN: dict[str, Any] = {"draws": 1000, "tune": 1000, "chains": 4, "target_accept": 0.95}
SUPPORT = {"compute": ("level", "floor", "alpha", "sigma", "nu"),
           "chinchilla": ("level", "floor", "from_N", "from_D", "alpha", "beta", "sigma", "nu")}  # fmt: skip


# ---- the rows, as every engine gets them


def write_rows(law: str, folder: Path) -> Path:
    """Write a law's rows, references and priors, for those who do not have this package."""
    import numpy as np
    import pandas as pd

    import bayeslaw as bl
    from bayeslaw.law.priors import link_normal
    from bayeslaw.observation.bound import bind

    table = {"compute": "pythia/gsm8k_counts.csv", "chinchilla": "chinchilla/runs.csv"}[law]
    how = {"k": 1, "where": "lr_warming_up=0"} if law == "compute" else {}
    spec = bl.change(bl.load_model(law), discrepancy=None)
    data = bl.read_table(pd.read_csv(DATA / table), spec, **how)
    spec = bl.resolve(spec, data)
    rows = bind(spec, data).rows
    size = np.prod([rows.columns[n] for n in spec.inputs], axis=0)
    order = np.argsort(size, kind="stable")
    data = data.isel(obs=order)
    rows = bind(spec, data).rows
    priors = {**spec.parameters, **spec.noise}
    told = {
        "law": law, "y": rows.y.tolist(), "error": rows.error.tolist(),
        **{n: rows.columns[n].tolist() for n in spec.inputs},
        **{f"ref_{n}": float(i.reference) for n, i in spec.inputs.items()},
        **{n: link_normal(p) for n, p in priors.items() if p.prior_90 is not None},
    }  # fmt: skip
    path = folder / f"{law}.json"
    path.write_text(json.dumps(told))
    (folder / f"{law}.toml").write_text(spec.to_toml())
    data.to_netcdf(folder / f"{law}.nc", engine="h5netcdf")
    return path


# ---- the engines: each makes a function (rows used, seed) -> draws by name, (chains, draws)


def bayeslaw(path: Path, told: dict) -> Any:
    import xarray as xr

    import bayeslaw as bl

    spec, data = bl.load_model(path.with_suffix(".toml")), xr.load_dataset(path.with_suffix(".nc"))

    def sample(rows: int, seed: int) -> dict:
        fit = bl.fit(spec, data.isel(obs=slice(rows)), seed=seed, progress=False, **RUN)
        return {n: fit.draws[n].values for n in SUPPORT[told["law"]]}

    return sample


def pymc(path: Path, told: dict) -> Any:
    import warnings

    import pymc as pm
    import xarray as xr

    import bayeslaw as bl

    spec, data = bl.load_model(path.with_suffix(".toml")), xr.load_dataset(path.with_suffix(".nc"))

    def sample(rows: int, seed: int) -> dict:
        with bl.pymc_model(spec, data.isel(obs=slice(rows))), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = pm.sample(
                RUN["draws"], tune=RUN["tune"], chains=RUN["chains"], cores=os.cpu_count(), random_seed=seed, quiet=True,
                target_accept=RUN["target_accept"], nuts_sampler="pymc", progressbar=False, compute_convergence_checks=False,
            )  # fmt: skip
        return {n: tree["posterior"][n].values for n in SUPPORT[told["law"]]}

    return sample


def numpyro(path: Path, told: dict) -> Any:
    import jax
    import jax.numpy as jnp
    import numpyro as npy
    import numpyro.distributions as dist
    from jax.scipy.stats import norm
    from numpyro.infer import MCMC, NUTS

    jax.config.update("jax_enable_x64", True)
    # Chains at once compile anew on each run; what was compiled is kept on disk, as the others do by themselves.
    jax.config.update("jax_compilation_cache_dir", str(Path.home() / ".cache" / "jax"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
    npy.set_host_device_count(RUN["chains"])
    given = {n: jnp.asarray(v) for n, v in told.items() if n != "law"}

    def normal(name: str, at: Any = 0.0) -> Any:
        mean, sd = told[name]
        return mean + sd * npy.sample(f"{name}_", dist.Normal(at, 1.0))

    def sheared(name: str, by: Any) -> Any:
        """Return a positive parameter that is walked as the log of its product with another quantity."""
        (mean, sd), shift = told[name], jnp.log(by)
        return npy.deterministic(name, jnp.exp(npy.sample(f"{name}_", dist.Normal(mean + shift, sd)) - shift))

    def rows_of(mean: Any, y: Any, error: Any) -> None:
        sigma, nu = (npy.deterministic(n, jnp.exp(normal(n))) for n in ("sigma", "nu"))
        npy.sample("y", dist.StudentT(nu, mean, jnp.sqrt(sigma**2 + error**2)), obs=y)

    def compute(y, error, C):
        level = npy.deterministic("level", jnp.exp(normal("level")))
        floor = npy.deterministic("floor", norm.cdf(npy.sample("floor_", dist.Normal(0.0, 1.0))))
        alpha = sheared("alpha", 1 - 0.9 * floor)
        rows_of(jnp.log(level * (floor + (1 - floor) * (C / given["ref_C"]) ** -alpha)), y, error)

    def chinchilla(y, error, N, D):
        level = npy.deterministic("level", jnp.exp(normal("level")))
        left = [norm.sf(npy.sample(f"{n}_", dist.Normal(0.0, 1.0))) for n in ("floor", "from_N")]
        left = [jnp.sqrt(left[0]), left[1]]
        floor = npy.deterministic("floor", 1 - left[0])
        from_N = npy.deterministic("from_N", left[0] * (1 - left[1]))
        from_D = npy.deterministic("from_D", left[0] * left[1])
        alpha, beta = sheared("alpha", 0.1 + 0.9 * from_N), sheared("beta", 0.1 + 0.9 * from_D)
        by_N, by_D = (N / given["ref_N"]) ** -alpha, (D / given["ref_D"]) ** -beta
        rows_of(jnp.log(level * (floor + from_N * by_N + from_D * by_D)), y, error)

    model = {"compute": compute, "chinchilla": chinchilla}[told["law"]]
    columns = [n for n in ("y", "error", "C", "N", "D") if n in told]
    kernel = NUTS(model, target_accept_prob=RUN["target_accept"])
    mcmc = MCMC(kernel, num_warmup=RUN["tune"], num_samples=RUN["draws"], num_chains=RUN["chains"],
                chain_method="parallel", progress_bar=False, jit_model_args=True)  # fmt: skip

    def sample(rows: int, seed: int) -> dict:
        mcmc.run(jax.random.PRNGKey(seed), **{n: given[n][:rows] for n in columns})
        draws = mcmc.get_samples(group_by_chain=True)
        return {n: jax.device_get(draws[n]) for n in SUPPORT[told["law"]]}

    return sample


STAN = {
    "compute": """
data { int n; vector[n] y; vector[n] error; vector[n] C; real ref_C;
  vector[2] p_level; vector[2] p_alpha; vector[2] p_sigma; vector[2] p_nu; }
parameters { real level_; real floor_; real alpha_; real sigma_; real nu_; }
transformed parameters {
  real level = exp(p_level[1] + p_level[2] * level_);
  real floor = Phi(floor_);
  real shift = log(1 - 0.9 * floor);
  real alpha = exp(alpha_ - shift);
  real sigma = exp(p_sigma[1] + p_sigma[2] * sigma_);
  real nu = exp(p_nu[1] + p_nu[2] * nu_);
}
model {
  level_ ~ std_normal(); floor_ ~ std_normal(); sigma_ ~ std_normal(); nu_ ~ std_normal();
  alpha_ ~ normal(p_alpha[1] + shift, p_alpha[2]);
  y ~ student_t(nu, log(level * (floor + (1 - floor) * (C / ref_C) ^ (-alpha))), sqrt(sigma ^ 2 + error ^ 2));
}
""",
    "chinchilla": """
data { int n; vector[n] y; vector[n] error; vector[n] N; vector[n] D; real ref_N; real ref_D;
  vector[2] p_level; vector[2] p_alpha; vector[2] p_beta; vector[2] p_sigma; vector[2] p_nu; }
parameters { real level_; real floor_; real from_N_; real alpha_; real beta_; real sigma_; real nu_; }
transformed parameters {
  real level = exp(p_level[1] + p_level[2] * level_);
  real left1 = sqrt(Phi(-floor_));
  real left2 = Phi(-from_N_);
  real floor = 1 - left1;
  real from_N = left1 * (1 - left2);
  real from_D = left1 * left2;
  real shift_N = log(0.1 + 0.9 * from_N);
  real shift_D = log(0.1 + 0.9 * from_D);
  real alpha = exp(alpha_ - shift_N);
  real beta = exp(beta_ - shift_D);
  real sigma = exp(p_sigma[1] + p_sigma[2] * sigma_);
  real nu = exp(p_nu[1] + p_nu[2] * nu_);
}
model {
  level_ ~ std_normal(); floor_ ~ std_normal(); from_N_ ~ std_normal(); sigma_ ~ std_normal(); nu_ ~ std_normal();
  alpha_ ~ normal(p_alpha[1] + shift_N, p_alpha[2]);
  beta_ ~ normal(p_beta[1] + shift_D, p_beta[2]);
  vector[n] law = level * (floor + from_N * (N / ref_N) ^ (-alpha) + from_D * (D / ref_D) ^ (-beta));
  y ~ student_t(nu, log(law), sqrt(sigma ^ 2 + error ^ 2));
}
""",
}


def pystan(path: Path, told: dict) -> Any:
    import numpy as np
    import stan

    law = told["law"]
    columns = [n for n in ("y", "error", "C", "N", "D") if n in told]
    more = {n: v for n, v in told.items() if n.startswith("ref_")}
    more |= {f"p_{n}": v for n, v in told.items() if isinstance(v, list) and len(v) == 2}

    def sample(rows: int, seed: int) -> dict:
        data = {"n": rows, **{n: told[n][:rows] for n in columns}, **more}
        model = stan.build(STAN[law], data=data, random_seed=seed + 1)
        fit = model.sample(num_chains=RUN["chains"], num_samples=RUN["draws"], num_warmup=RUN["tune"], delta=RUN["target_accept"])  # fmt: skip
        shape = RUN["draws"], RUN["chains"]  # pystan flattens with the chain innermost
        return {n: np.reshape(fit[n], shape).T for n in SUPPORT[law]}

    return sample


# ---- one process: its first posterior, the same again, a sweep


def run(engine: str, path: Path, out: Path, sweep: bool) -> None:
    """Sample in this process; write seconds and draws."""
    import numpy as np

    told = json.loads(path.read_text())
    sample, rows, seconds = globals()[ENGINES[engine]](path, told), len(told["y"]), {}
    first, at = sample(rows, 0), time.time()

    def timed(rows: int, seed: int) -> float:
        began = time.perf_counter()
        sample(rows, seed)
        return time.perf_counter() - began

    if sweep:
        seconds["again"] = statistics.median(timed(rows, seed) for seed in (1, 2, 3))
        seconds["sweep"] = sum(timed(round(share * rows), 4) for share in SHARES) / len(SHARES)
    versions = {n: version(n) for n in WHO[engine]}
    np.savez(out.with_suffix(".npz"), **first)
    out.write_text(json.dumps({"first": at, "seconds": seconds, "versions": versions}))


WHO = {"bayeslaw": ("bayeslaw", "nutpie", "numba"), "pymc": ("pymc", "pytensor", "numba"), "numpyro": ("numpyro", "jax"),
       "stan": ("pystan", "httpstan")}  # fmt: skip


# ---- all of them


def start(engine: str, python: str, path: Path, home: Path, sweep: bool) -> tuple[float, dict]:
    """Run an engine in a process of its own; return seconds from its start to its first posterior, and what it wrote."""
    out = home / f"{engine}.json"
    here = {"HOME": str(home), "XDG_CACHE_HOME": str(home / ".cache"), "OMP_NUM_THREADS": "1"}
    command = [python, __file__, "--one", engine, "--rows", str(path), "--out", str(out), *(["--sweep"] if sweep else [])]  # fmt: skip
    began = time.time()
    environment = {n: v for n, v in os.environ.items() if not n.startswith("PYTENSOR")} | here
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{engine}: {done.stderr.strip().splitlines()[-1:]}")
    told = json.loads(out.read_text())
    return told["first"] - began, told


def worst_ess(path: Path, law: str) -> tuple[float, str]:
    """Return the least bulk effective sample size, and whose it is."""
    import arviz_stats as azs
    import numpy as np
    import xarray as xr

    with np.load(path) as kept:
        draws = xr.Dataset({n: (("chain", "draw"), kept[n]) for n in SUPPORT[law]})
    found = {str(n): float(v) for n, v in azs.ess(draws, method="bulk").items()}
    name = min(found, key=found.__getitem__)
    return found[name], name


def main() -> None:
    """Time the engines that are asked for, and print a row for each."""
    parser = argparse.ArgumentParser()
    parser.add_argument("engines", nargs="*", default=list(ENGINES))
    parser.add_argument("--laws", nargs="*", default=list(SUPPORT))
    parser.add_argument("--numpyro", default=sys.executable)
    parser.add_argument("--stan", default=sys.executable)
    parser.add_argument("--times", type=int, default=3)
    for name in ("--one", "--rows", "--out"):
        parser.add_argument(name)
    parser.add_argument("--sweep", action="store_true")
    asked = parser.parse_args()
    if asked.one:
        return run(asked.one, Path(asked.rows), Path(asked.out), asked.sweep)
    pythons = {"numpyro": asked.numpyro, "stan": asked.stan}
    for law in asked.laws:
        with tempfile.TemporaryDirectory() as folder:
            path = write_rows(law, Path(folder))
            print(f"\n{law}, {len(json.loads(path.read_text())['y'])} rows\n")
            print(
                "| engine | machine | cold | again | sweep | ESS | ESS/s | versions |\n|---|---|---|---|---|---|---|---|"
            )
            for engine in asked.engines:
                home = Path(folder) / engine
                home.mkdir()
                print(
                    row(engine, law, pythons.get(engine, sys.executable), path, home, asked.times), flush=True
                )


def row(engine: str, law: str, python: str, path: Path, home: Path, times: int) -> str:
    """Return an engine's row of the table."""
    try:
        new, _ = start(engine, python, path, home, sweep=False)
        colds, told = zip(*(start(engine, python, path, home, sweep=True) for _ in range(times)), strict=True)
    except RuntimeError as error:
        return f"| {engine} | {error} |"
    ess, name = worst_ess(home / f"{engine}.npz", law)
    cold = statistics.median(colds)
    again = statistics.median(t["seconds"]["again"] for t in told)
    sweep = told[0]["seconds"]["sweep"]  # later processes find these sizes compiled
    versions = ", ".join(f"{n} {v}" for n, v in told[0]["versions"].items())
    return (f"| {engine} | {new:.1f} | {cold:.1f} | {again:.2f} | {sweep:.2f} | {ess:.0f} ({name}) | {ess / again:.0f} "
            f"| {versions} |")  # fmt: skip


if __name__ == "__main__":
    main()

"""run --engine ray: the same command on the workers of Ray Data."""

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from photio_prep.api import credentials
from photio_prep.api.client import check_url
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch import ray_driver
from photio_prep.batch.ray_budget import NullSender
from photio_prep.batch.ray_worker import RayJobOptions
from photio_prep.cli import finishing, payment
from photio_prep.cli.console import Console
from photio_prep.cli.inputs import EngineOptions
from photio_prep.cli.outputs import Shelving
from photio_prep.cli.preparation import pull_models
from photio_prep.cli.signals import listen
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import BudgetReached, PhotioError, StorageFailed, UsageError, of_photo
from photio_prep.final.options import FinishOptions
from photio_prep.intake.item import Item
from photio_prep.options import OutputOptions
from photio_prep.orders import index, paid_before
from photio_prep.orders.options import PayOptions, PrepareOptions
from photio_prep.orders.store import Order


def ray_options(
    options: PrepareOptions,
    model: ModelOptions,
    pay: PayOptions,
    finish: FinishOptions,
    output: OutputOptions,
    console: Console,
) -> RayJobOptions:
    """The options of `run` as workers in other folders, with other environments, take them.

    Raises:
        UsageError: A model that there is not, or whose licence has to be accepted first; an option for one machine.
    """
    if options.points or options.box:
        raise UsageError("--point and --box are for this machine", "Leave --engine out")
    pull_models(model, console, [model.model])
    model.load()  # refused here, once
    return RayJobOptions(
        replace(output, out=output.out.absolute()),
        replace(options, mask=options.mask.absolute() if isinstance(options.mask, Path) else options.mask),
        model,
        replace(pay, gate=pay.preflight.level, key_file=pay.key_file.absolute() if pay.key_file else None),
        replace(finish, photos=Path(finish.photos).absolute() if finish.photos else None),
    )


def run_on_cluster(
    items: list[Item],
    job: RayJobOptions,
    engine: EngineOptions,
    output: OutputOptions,
    shelving: Shelving,
    console: Console,
) -> None:
    """Prepare, pay and finish `items` on the workers; each photo is told as it ends, by the names in `output`.

    Raises:
        UsageError: The key, or the stand-in, would not reach the workers.
    """
    pay = job.pay
    if pay.key_stdin:
        raise UsageError("a key from standard input reaches no worker", "Use --key-file or PHOTIO_API_KEY")
    if pay.sandbox and engine.ray_address is not None:
        raise UsageError("the stand-in runs on this machine, where no cluster reaches it", "Leave --ray-address out")

    def finished(order: Order, path: Path) -> None:
        finishing.upload(path, output)
        finishing.tell(order, path, output, shelving, console)

    with _with_sandbox(job) as job:
        if not job.sandbox_url:
            check_url(job.endpoint)
            if engine.ray_address is None:  # elsewhere, only the workers know it
                credentials.load_key(pay.key_file, from_keyring=pay.keyring)
        guard = SpendingGuard(NullSender(job.endpoint), pay.max_calls)
        names = [(item.name, (item.options.description or job.prepare.description).strip()) for item in items]
        known = paid_before.count_answered(names, job.endpoint, index.index_of(job.orders).refresh())
        payment.quote(len(items), known, pay, console, guard, at_most=True)
        why = None
        if guard.left != pay.max_calls:
            why = BudgetReached(f"more than {guard.left} paid calls need a yes", "Give --yes")
        started = ray_driver.started(
            job, address=engine.ray_address, workers=engine.workers, calls=pay.jobs, max_calls=guard.left, why=why
        )
        with console.redirect_stdout(), started as it:
            if console.report:
                console.report.count_by(it.billed)
            with _heard(it, console), console.progress(len(items), "run"):
                for ended in it.run(items):
                    _tell(ended, output.out, console, finished, it.close)
            closed, calls = it.stop_reason()
    if closed is not None:
        console.codes.append(closed.exit_code)
        count = f"{calls} of at most {len(items)} were sent."
        console.info(f"stopped ({closed.problem}): {count} The rest stays planned; run the same again")


@contextmanager
def _with_sandbox(job: RayJobOptions) -> Iterator[RayJobOptions]:
    """The options, with --sandbox those for a stand-in that runs as long as it is needed."""
    if not job.pay.sandbox:
        yield job
        return
    if job.pay.api_url is not None:
        raise UsageError("--sandbox and --api-url exclude each other", "Give one of them")
    from photio_prep.sandbox import Sandbox

    with Sandbox() as stand_in:
        yield replace(job, sandbox_url=stand_in.url)


@contextmanager
def _heard(it: ray_driver.Cluster, console: Console) -> Iterator[None]:
    """Ctrl-C and SIGTERM mean: nothing new; a second time: at once."""

    def leave(number: int) -> None:
        stopped = payment.stopped_by(number)
        if stopped.exit_code in console.codes:
            os._exit(stopped.exit_code)
        console.codes.append(stopped.exit_code)
        console.info("stopping: nothing new is sent, what is in flight is waited for; once more to leave at once")
        it.close(stopped)

    with listen(leave):
        yield


def _tell(
    ended: ray_driver.Ended,
    out: Path,
    console: Console,
    finished: Callable[[Order, Path], None],
    close: Callable[[PhotioError], None],
) -> None:
    """Tell a photo's end, its places named as the user named the output folder.

    What `finished` cannot do with it here is told like what went wrong on a worker; trouble with storage means `close`.
    """
    order, final, error = ended.order, ended.final, ended.error
    if order is not None and order.folder is not None:
        order = replace(order, folder=out / "orders" / order.folder.name)
    if final is not None:
        final = out / final.relative_to(out.absolute())
    for warning in ended.warnings:
        console.info(warning)
    if ended.changed and order:
        console.note_changed(order)
    if error is None and order is not None and final is not None:
        try:
            finished(order, final)
        except Exception as failed:  # noqa: BLE001  a bug too is this photo's own
            error = of_photo(failed)
            if isinstance(error, StorageFailed):
                close(error)
    if error is not None:
        if order is not None:
            error.subject = f"{ended.item.name}: {error.subject or order.folder}"
        console.refuse(ended.item.name, error, order, ended.state)

"""run --engine ray: the same command on the workers of Ray Data."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from photio_prep.api import credentials
from photio_prep.api.client import check_url
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch import ray_driver
from photio_prep.batch.ray_budget import NullSender
from photio_prep.batch.ray_worker import RayJobOptions
from photio_prep.cli import payment
from photio_prep.cli.console import Console
from photio_prep.cli.finals import FinalWriter
from photio_prep.cli.inputs import quote_items
from photio_prep.cli.preparation import pull_models
from photio_prep.cli.signals import stop_on_signal
from photio_prep.cutout.models.registry import ModelOptions
from photio_prep.errors import BudgetReached, PhotioError, StorageFailed, UsageError, of_photo
from photio_prep.final.options import FinishOptions
from photio_prep.intake.item import Item
from photio_prep.options import OutputOptions
from photio_prep.orders.options import PayOptions, PrepareOptions
from photio_prep.orders.store import Order


def build_job(
    options: PrepareOptions,
    model: ModelOptions,
    pay: PayOptions,
    finish: FinishOptions,
    output: OutputOptions,
    console: Console,
) -> RayJobOptions:
    """The options of `run` as workers in other folders, with other environments, take them.

    Raises:
        UsageError: No such model, or its licence must be accepted first; an option for one machine.
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
    address: str | None,
    workers: int,
    out: Path,
    finals: FinalWriter,
    console: Console,
) -> None:
    """Prepare, pay and finish `items` on the workers; print each as it ends, its paths below `out`.

    Raises:
        UsageError: The key, or the stand-in, would not reach the workers.
    """
    pay = job.pay
    if pay.key_stdin:
        raise UsageError("a key from standard input reaches no worker", "Use --key-file or PHOTIO_API_KEY")
    if pay.sandbox and address is not None:
        raise UsageError("the stand-in runs on this machine, where no cluster reaches it", "Leave --ray-address out")
    with payment.open_sandbox(pay) as sandbox_url:
        job = replace(job, sandbox_url=sandbox_url)
        if not sandbox_url:
            check_url(job.endpoint)
            if address is None:  # elsewhere, only the workers know it
                credentials.load_key(pay.key_file, from_keyring=pay.keyring)
        guard = SpendingGuard(NullSender(job.endpoint), pay.max_calls)
        quote_items(items, 1, job.prepare.description, job.output.out, pay, console, guard)
        limited = guard.left != pay.max_calls
        opened = ray_driver.open_cluster(
            job,
            address=address,
            workers=workers,
            calls=pay.jobs,
            max_calls=guard.left,
            why=BudgetReached(f"more than {guard.left} paid calls need a yes", "Give --yes") if limited else None,
        )
        with console.redirect_stdout(), opened as cluster:
            if console.report:
                console.report.count_by(cluster.is_billed)
            with stop_on_signal(console.codes, console.info, cluster.stop), console.progress(len(items), "run"):
                for outcome in cluster.run(items):
                    _report(outcome, out, console, partial(finals.announce, out=out), cluster.stop)
            stop_reason, calls = cluster.stop_reason()
    payment.report_stop(stop_reason, calls, len(items), console)


def _report(
    outcome: ray_driver.RayOutcome,
    out: Path,
    console: Console,
    announce: Callable[[Order, Path], None],
    stop: Callable[[PhotioError], None],
) -> None:
    """Print a photo's outcome; an error of `announce` is printed as one of a worker is.

    Paths are printed as the user named the output folder. Failed storage stops the cluster.
    """
    order, error = outcome.order, outcome.error
    if order is not None and order.folder is not None:
        order = replace(order, folder=out / "orders" / order.folder.name)
    for warning in outcome.warnings:
        console.info(warning)
    if outcome.changed and order:
        console.note_changed(order)
    if error is None and order is not None and outcome.final is not None:
        try:
            announce(order, out / outcome.final.relative_to(out.absolute()))
        except Exception as failed:  # noqa: BLE001  a bug too is this photo's own
            error = of_photo(failed)
            if isinstance(error, StorageFailed):
                stop(error)
    if error is not None:
        if order is not None:
            error.subject = f"{outcome.item.name}: {error.subject or order.folder}"
        console.refuse(outcome.item.name, error, order, outcome.state)

"""run --engine ray: the same command on the workers of Ray Data."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from photio_prep.api import credentials
from photio_prep.api.spending_guard import SpendingGuard
from photio_prep.batch import ray_driver
from photio_prep.batch.ray_budget import NullSender
from photio_prep.batch.ray_worker import RayJobOptions
from photio_prep.cli import payment
from photio_prep.cli.console import Console
from photio_prep.cli.finals import FinalWriter
from photio_prep.cli.inputs import Choice
from photio_prep.cli.preparation import pull_models
from photio_prep.cli.signals import stop_on_signal
from photio_prep.errors import PhotioError, StorageFailed, UsageError, of_photo
from photio_prep.options import JobOptions
from photio_prep.orders.store import Order


def run_on_cluster(choice: Choice, finals: FinalWriter) -> None:
    """Prepare, pay and finish the photos on workers; print each as it ends, its paths as the user named the output.

    UsageError for an option that is for one machine, or if the key or the stand-in would not reach the workers.
    """
    items, job, console, address = choice.items, choice.job, choice.console, choice.options.ray_address
    out, pay = job.output.out, job.pay
    if job.prepare.points or job.prepare.box:
        raise UsageError("--point and --box are for this machine", "Leave --engine out")
    pull_models(job.model, console, [job.model.model])
    job.model.load()  # refused here, once
    if pay.key_stdin:
        raise UsageError("a key from standard input reaches no worker", "Use --key-file or PHOTIO_API_KEY")
    if pay.sandbox and address is not None:
        raise UsageError("the stand-in runs on this machine, where no cluster reaches it", "Leave --ray-address out")
    with payment.open_sandbox(pay) as sandbox_url:
        remote = _for_workers(job, sandbox_url)
        if not sandbox_url:
            credentials.check_url(remote.endpoint)
            if address is None:  # elsewhere, only the workers know it
                credentials.load_key(pay.key_file, from_keyring=pay.keyring)
        guard = SpendingGuard(NullSender(remote.endpoint), pay.max_calls)
        choice.quote(guard)
        workers = choice.options.workers or 2
        opened = ray_driver.open_cluster(remote, guard, address=address, workers=workers, calls=pay.jobs)
        with console.redirect_stdout(), opened as cluster:
            console.report.count_by(cluster.is_billed)
            with stop_on_signal(console.codes, console.info, cluster.stop), console.progress(len(items), "run"):
                for outcome in cluster.run(items):
                    _report(outcome, out, console, partial(finals.announce, out=out), cluster.stop)
            stop_reason, calls = cluster.stop_reason()
    payment.report_stop(stop_reason, calls, len(items), console)


def _for_workers(job: JobOptions, sandbox_url: str | None) -> RayJobOptions:
    """The options as workers in other folders, with other environments, take them."""
    mask, key_file, photos = job.prepare.mask, job.pay.key_file, job.finish.photos
    return RayJobOptions(
        replace(job.output, out=job.output.out.absolute()),
        replace(job.prepare, mask=mask.absolute() if isinstance(mask, Path) else mask),
        job.model,
        replace(job.pay, gate=job.pay.preflight.level, key_file=key_file.absolute() if key_file else None),
        replace(job.finish, photos=Path(photos).absolute() if photos else None),
        sandbox_url,
    )


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

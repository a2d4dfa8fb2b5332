"""Every fault that we claim to survive, and the tests that inject it.

python tests/fault_drill.py [OPTION…]     injects all of them; options are pytest's
python tests/fault_drill.py --write       writes docs/reliability.md
"""

import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "reliability.md"


class Fault(NamedTuple):
    """A fault, what comes of it, and the tests that inject it, below `tests/`."""

    fault: str
    outcome: str
    tests: tuple[str, ...]


RESUME = "training/test_exact_resume.py"
CHECKPOINTS = "training/test_checkpoint_files.py"
SHARDS = "training/test_sharded_checkpoint.py"
PEERS = "training/test_peer_watch.py"
DRILL: dict[str, list[Fault]] = {
    "A training ends before its end": [
        Fault(
            "killed (SIGKILL) in a step, between steps or in a validation; killed again after it resumed",
            "`--ckpt_path last` ends with the whole training's losses, weights and `metrics.csv`, bit for bit, with "
            "any number of loader processes; at most the steps since the last checkpoint are made again",
            (
                f"{RESUME}::test_a_killed_training_ends_as_a_whole_one",
                f"{RESUME}::test_a_training_may_be_killed_anywhere",
            ),
        ),
        Fault(
            "two processes that train together, under `ddp` or `fsdp2`, are killed",
            "as one",
            (f"{RESUME}::test_killed_processes_end_as_whole_ones",),
        ),
        Fault(
            "of processes that train together one is killed, fails alone, or its machine gives no sign of life",
            "the others end within a minute and name it; the state is `failed`, and `--ckpt_path last` resumes",
            (
                f"{PEERS}::test_the_others_end_and_say_which_process_died",
                f"{PEERS}::test_processes_that_lightning_starts_end_with_one_that_is_killed",
                f"{PEERS}::test_a_process_of_another_machine_has_died_once_it_is_silent",
            ),
        ),
        Fault(
            "a loader's process dies, or has no room to hand over a batch",
            "one line that tells lack of memory, a full `/dev/shm` and other deaths apart",
            (
                "test_deaths.py::test_a_training_says_why_its_loader_died",
                "test_deaths.py::test_a_loader_process_that_dies_is_one_line",
                "test_deaths.py::test_what_the_kernel_kills_for_lack_of_memory_is_counted",
            ),
        ),
        Fault(
            "one signal to one of the processes that train together",
            "all end the step, save and stop",
            (f"{PEERS}::test_one_signal_to_one_process_stops_both_well",),
        ),
        Fault(
            "Ctrl-C, SIGTERM or SIGUSR1",
            "the step is ended and saved, the line that resumes is printed, status 130 or 143; the same losses",
            (
                "training/test_stopping.py::test_a_stopped_training_resumes",
                "training/test_stopping.py::test_a_stopped_last_validation_is_repeated",
                "training/test_stopping.py::test_a_second_signal_stops_at_once",
            ),
        ),
        Fault(
            "a signal to every process of a training, those of its loaders too",
            "as one to the training alone",
            (f"{RESUME}::test_a_signal_to_the_loaders_too_stops_it_after_a_step",),
        ),
        Fault(
            "SIGTERM in a test",
            "status 143, and no scores",
            ("training/test_stopping.py::test_a_stopped_test_says_so",),
        ),
        Fault(
            "a job's node dies under `compare --engine submitit`; the cluster takes no job",
            "it goes on from what it left; a failed run, with the cluster's reason",
            (
                "processes/test_submitted.py::test_a_job_whose_node_died_goes_on",
                "processes/test_submitted.py::test_a_job_that_the_cluster_does_not_take_has_failed",
            ),
        ),
        Fault(
            "a cluster's job ends before it trained, by whatever status",
            "it is not handed in again",
            ("training/test_cluster_jobs.py::test_a_job_that_trained_nothing_is_not_handed_in_again",),
        ),
        Fault(
            "a second comparison with the same folder of jobs",
            "it is refused",
            ("processes/test_submitted.py::test_a_second_comparison_leaves_the_jobs_of_the_first",),
        ),
        Fault(
            "a cluster stops the job twice, by either signal",
            "it is handed in again and ends with the whole job's metrics, predictions and weights",
            ("training/test_cluster_jobs.py::test_a_job_that_is_stopped_twice_trains_what_a_whole_one_trains",),
        ),
        Fault(
            "a comparison is stopped or killed",
            "none of its runs goes on; the next comparison cancels its jobs, waits for their end and resumes its runs; "
            "the table is a whole one's",
            (
                "processes/test_subprocesses.py::test_what_stops_a_comparison_stops_its_commands",
                "processes/test_warmed.py::test_what_stops_a_comparison_leaves_no_process",
                "processes/test_submitted.py::test_what_a_killed_comparison_left_has_ended_before_its_successor_begins",
                "comparison/test_comparison_on_slurm.py::"
                "test_a_comparison_that_is_stopped_and_killed_ends_with_the_table_of_a_whole_one",
                "comparison/test_compare.py::test_what_an_interrupted_run_left_is_ended_or_begun_anew",
            ),
        ),
        Fault(
            "one run of a comparison fails",
            "the others finish; the page says what it lacks, the command names the log and ends with 1",
            ("comparison/test_failures.py::test_the_other_arms_finish_and_the_page_says_what_it_lacks",),
        ),
        Fault(
            "a second training in the same directory",
            "it is refused",
            ("training/test_used_directory.py::test_a_directory_serves_one_training_at_a_time",),
        ),
        Fault(
            "a training that makes no step, for whatever reason",
            "after `run.stalled_after_minutes` the log says where each of its threads waits, a few times; it goes on",
            (
                "training/test_stalls.py::test_a_stalled_run_says_where_a_few_times",
                "training/test_stalls.py::test_a_call_that_lets_no_thread_run_is_seen_too",
                "training/test_stalls.py::test_a_training_is_watched",
            ),
        ),
        Fault(
            "a training that is suspended for hours (Ctrl-Z, a cluster's suspend)",
            "once continued it goes on; the log may hold a stack, as of one that stands still",
            ("training/test_stalls.py::test_a_process_that_was_suspended_is_well_afterwards",),
        ),
        Fault(
            "resumed with another length",
            "it goes on to that, with a warning; the learning rate follows the schedule of the new length at once",
            ("training/test_resuming.py::test_another_length_is_obeyed_and_the_learning_rate_follows_it",),
        ),
        Fault(
            "resumed with another λ, data, batch, precision or number of processes",
            "refused, naming both values",
            (
                "training/test_resuming.py::test_a_training_resumes_with_its_own_options_alone",
                "training/test_resuming.py::test_a_checkpoint_of_another_run_is_refused",
            ),
        ),
    ],
    "Checkpoints and disks": [
        Fault(
            "killed while a checkpoint is written",
            "the one before is there, and is read",
            (
                f"{CHECKPOINTS}::test_a_killed_writer_leaves_the_file_of_before",
                f"{CHECKPOINTS}::test_a_writer_killed_between_renames_leaves_what_is_read",
                f"{SHARDS}::test_a_killed_writer_leaves_one_that_is_read",
            ),
        ),
        Fault(
            "the disk fills while a training runs",
            "one line and status 1; with room again, it resumes from the checkpoint of before",
            (f"{RESUME}::test_a_full_disk_costs_no_checkpoint",),
        ),
        Fault(
            "no room, a quota, a read-only mount, a file that the system cuts",
            "one line that names the file; the checkpoint of before is read, no draft is left",
            (
                f"{CHECKPOINTS}::test_a_disk_that_takes_no_more_is_one_line",
                f"{CHECKPOINTS}::test_a_file_that_the_system_cuts_leaves_the_one_before",
                "test_output.py::test_a_read_only_place",
            ),
        ),
        Fault(
            "one of several processes cannot write its shards",
            "all stop with the same line; the checkpoint of before is read, no draft is left",
            (f"{SHARDS}::test_what_one_process_cannot_write_leaves_the_one_before",),
        ),
        Fault(
            "shards that changed, are missing, too many or another program's; no list of them, or a damaged one",
            "refused in one line that names the folder; no code runs",
            (f"{SHARDS}::test_a_damaged_folder_is_one_line",),
        ),
        Fault(
            "a checkpoint whose bytes changed, that is cut, empty, another program's, or holds code",
            "refused in one line; no code runs",
            (
                f"{CHECKPOINTS}::test_a_flipped_byte_is_found",
                f"{CHECKPOINTS}::test_a_file_that_is_no_checkpoint_is_one_line",
            ),
        ),
        Fault(
            "features of a frozen tower: a killed writer, two writers, a damaged file",
            "the rest is made; writers do not mix; the file is named",
            (
                "training/test_frozen_features.py::test_what_a_killed_run_left_is_kept_and_the_rest_is_made",
                "training/test_frozen_features.py::test_writers_and_a_reader_at_the_same_time",
                "training/test_frozen_features.py::test_damaged_features_are_named",
            ),
        ),
    ],
    "Numbers": [
        Fault(
            "one process alone has no valid gaze",
            "the losses and weights are those of one process with all samples",
            (
                "training/test_gaze_of_one_process.py::test_two_processes_train_as_one",
                "training/test_gaze_of_one_process.py::test_a_calibrated_weight_moves",
            ),
        ),
        Fault(
            "a loss, gradient or weight that is not finite, on one process or all",
            "all stop before the step, naming term and clips, weight or gradient; it is never saved",
            (
                "training/test_finite.py::test_weights_that_leave_the_numbers_stop_the_run_and_are_not_saved",
                "training/test_finite.py::test_a_gradient_that_is_not_finite_is_named",
                "training/test_finite.py::test_a_weight_that_is_not_finite_is_neither_saved_nor_used",
            ),
        ),
    ],
    "Data": [
        Fault(
            "a decoder that hangs",
            "given up after a minute: the clip cannot be read, or the video that is prepared cannot be used",
            (
                "test_time_limit.py::test_a_decoder_that_hangs_is_given_up",
                "test_time_limit.py::test_a_clip_of_another_video_stands_for_one_whose_decoder_hangs",
                "test_time_limit.py::test_a_file_system_that_hangs_is_an_error_of_one_line",
                "preparation/test_unusable_videos.py::test_a_video_whose_decoder_hangs_is_quarantined",
            ),
        ),
        Fault(
            "a training clip that cannot be read",
            "the next one stands for it, on all processes; reported, counted, and too many stop the training",
            (
                "training/test_unreadable.py::test_a_training_reports_each_and_goes_on",
                "training/test_unreadable.py::test_too_many_stop_it_and_so_does_any_of_the_validation",
                "training/test_unreadable.py::test_two_processes_stop_together_and_go_on_together",
            ),
        ),
        Fault(
            "damaged frames, a video of which nothing can be decoded, bad gaze",
            "they cost the clips that show them; quarantined and listed with the reason; too many stop the preparation",
            (
                "preparation/test_damage.py::test_a_damaged_frame_costs_the_clips_that_show_it",
                "preparation/test_unusable_videos.py::test_bad_videos_are_quarantined",
                "preparation/test_unusable_videos.py::test_bad_gaze_has_a_reason",
                "preparation/test_unusable_videos.py::test_too_many_bad_videos_fail",
            ),
        ),
        Fault(
            "a preparation that is killed, or stopped by Ctrl-C or SIGTERM, or finds no room",
            "begun again, it ends with the same bytes",
            (
                "preparation/test_kill.py::test_a_killed_preparation_is_finished_to_the_same_bytes",
                "preparation/test_kill.py::test_a_signal_stops_all_processes_and_can_go_on",
                "preparation/test_runner.py::test_a_full_disk_stops_and_goes_on",
            ),
        ),
        Fault(
            "a preparation's process that dies",
            "it costs its video alone",
            ("preparation/test_engine.py::test_a_dying_worker_costs_its_video_alone",),
        ),
        Fault(
            "a `caption` that is killed, or whose file is cut",
            "the same command ends with the same bytes",
            (
                "inference/test_caption.py::test_a_killed_command_resumes_to_the_same_bytes",
                "inference/test_caption.py::test_what_is_cut_off_is_answered_again",
            ),
        ),
        Fault(
            "videos that `caption` cannot read, or not whole",
            "the others are captioned; each is named with the reason, and the status is 1",
            ("inference/test_caption.py::test_what_cannot_be_read_is_reported_and_the_rest_written",),
        ),
        Fault(
            "a store that was damaged, or is of another version",
            "refused, naming file and value",
            (
                "preparation/test_damaged_store.py::test_damaged_files",
                "preparation/test_damaged_store.py::test_a_manifest_of_wrong_values_is_damaged",
                "preparation/test_store.py::test_other_schema_version",
            ),
        ),
    ],
    "Hostile input": [
        Fault(
            "a file of any reader, manifest, configuration, run or checkpoint with bytes changed",
            "read, or refused in one line",
            ("fuzz/test_files.py::test_a_damaged_file_is_read_or_refused_in_a_line",),
        ),
        Fault(
            "ids that leave the folder; Markdown, HTML and escape codes in names",
            "refused; shown as plain text in tables, pages, pictures and terminals",
            (
                "preparation/test_hostile_ids.py",
                "comparison/test_hostile_names.py",
                "test_foreign_text.py",
            ),
        ),
        Fault(
            "a configuration whose aliases have no end, or with values in place of keys",
            "refused in one line",
            (
                "command_line/test_composition.py::test_aliases_without_end_are_refused",
                "fuzz/test_files.py::test_a_damaged_file_is_read_or_refused_in_a_line",
            ),
        ),
        Fault(
            "a configuration that names a class to run code",
            "refused before the import",
            ("command_line/test_class_paths.py",),
        ),
    ],
}
INTRODUCTION = """# Reliability

What may happen to a training, and what comes of it. `tests/fault_drill.py` holds these tables and writes this page;
`make drill` injects every fault.
"""


def page() -> str:
    """docs/reliability.md."""
    text = INTRODUCTION
    for kind, faults in DRILL.items():
        text += f"\n## {kind}\n\n| fault | what comes of it | injected by |\n|---|---|---|\n"
        for fault, outcome, tests in faults:
            text += f"| {fault} | {outcome} | {', '.join(f'`tests/{test}`' for test in tests)} |\n"
    return text


def main(options: list[str]) -> int:
    if options == ["--write"]:
        PAGE.write_text(page(), encoding="utf-8")
        return 0
    tests = [str(ROOT / "tests" / test) for faults in DRILL.values() for fault in faults for test in fault.tests]
    return int(pytest.main(["-m", "not gpu", *options, *tests]))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))

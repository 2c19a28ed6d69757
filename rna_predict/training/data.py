"""The data of a run, for Lightning: a dataset's chains as the batches of each step."""

from typing import Any, cast

from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from rna_predict.data.batches import Share
from rna_predict.training.config import TrainConfig
from rna_predict.training.module import TrainingModule
from rna_predict.training.stream import BatchStream, TrainingSet
from rna_predict.training.tasks import task_of


class TrainingData(LightningDataModule):
    """Batches from the place where the module stands.

    Attributes:
        chains: the dataset.
        stream: of this process; made when its rank is known.
    """

    def __init__(self, chains: TrainingSet, config: TrainConfig) -> None:
        super().__init__()
        self.chains, self.config = chains, config
        self.stream: BatchStream | None = None

    def train_dataloader(self) -> DataLoader[Any]:
        """The loader of this process, which begins at the module's place."""
        trainer = self.trainer
        assert trainer is not None
        share = Share(rank=trainer.global_rank, ranks=trainer.world_size)
        self.stream = task_of(self.config).stream(self.chains, self.config, share)
        self.stream.start = cast(TrainingModule, trainer.lightning_module).place
        return DataLoader(self.stream, batch_size=None, num_workers=self.config.data.workers)

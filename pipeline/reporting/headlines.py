"""The score by which each study ranks its variants, and where its paper prints the figures that compare."""

from dataclasses import dataclass, field

from pipeline.reporting.published import Published


@dataclass(frozen=True)
class Headline:
    """How a study is told in one row, and in the first table of its report."""

    question: str
    score: str  # of intervals.csv
    label: str
    table: str  # where published.csv has the paper's figures
    printed: dict[str, str]  # score of ours -> its name there
    least: float = 0.0  # of the score, where the axis of its figure begins
    strips: tuple[str, ...] = ("best", "worst")  # which test tiles the report shows: best, worst, first
    of: str = "all"  # the class whose figures these are
    names: dict[str, str] = field(default_factory=dict)  # variant that the study names -> what its paper calls it
    trained: str = "augmented"  # the plan on which that paper trained those
    side: str = "test"  # of the paper's split, whose figures these are

    @property
    def printed_score(self) -> str:
        """What published.csv calls the score."""
        return self.printed[self.score]

    def model(self, published: Published, name: str) -> str:
        """What a report calls an encoder or a named variant."""
        return self.names.get(name) or published.name(name)

    def value(self, published: Published, name: str, augmentation: str, score: str) -> float | None:
        """The printed figure beside a score of ours; None where the paper has none.

        The paper of a study that names its variants trained them on one plan.
        """
        printed = self.printed[score]
        if name not in self.names:
            return published.value(self.table, name, augmentation, printed, self.of)
        if augmentation != self.trained:
            return None
        return published.of_variant(self.table, self.names[name], printed, self.of, self.side)


HEADLINES = {
    "pannuke": Headline(
        "which encoder finds and tells apart nuclei",
        "mean_iou",
        "mean IoU",
        "Table 3",
        {"mean_iou": "mean_iou", "dice_micro": "dice"},
    ),
    "tnbc": Headline(
        "which U-Net finds the nuclei of triple-negative breast cancer, and how fast",
        "jaccard_of_images",
        "Jaccard",
        "Table III",
        {f"{name}_of_images": name for name in ("jaccard", "f1", "recall", "precision", "accuracy")},
        of="nucleus",
        names={
            "unet": "U-Net",
            "unet-bn": "Modified U-Net",
            "resnet50-random": "ResNet-50",
            "resnet101-random": "ResNet-101",
            "resnext50-random": "ResNext50-32-4d",
            "resnext101-random": "ResNext101-32-8d",
            "densenet121-random": "DenseNet-121",
            "densenet201-random": "DenseNet-201",
            "resnet50-imagenet": "Pre-trained ResNet-50",
            "resnet101-imagenet": "Pre-trained ResNet-101",
            "resnext50-imagenet": "Pre-trained ResNext50-32-4d",
            "resnext101-imagenet": "Pre-trained ResNext101-32-8d",
            "densenet121-imagenet": "Pre-trained DenseNet-121",
            "densenet201-imagenet": "Pre-trained DenseNet-201",
        },
    ),
    "bcss": Headline(
        "which tissue lies where in a tumour",
        "accuracy_one_vs_rest",
        "one-vs-rest accuracy",
        "results",
        {"accuracy_one_vs_rest": "accuracy"},
        least=0.9,  # where every pixel is wrong it is 0.905
        strips=("first",),
        names={
            "resnet34-frozen": "U-Net + ResNet34 (proposed)",
            "resnet34": "U-Net + ResNet34, fine-tuned",
            "resnet50": "U-Net + ResNet50, fine-tuned",
        },
        trained="plain",
        side="validation",
    ),
    "bracs": Headline(
        "where on a slide usual ductal hyperplasia lies",
        "dice_macro_no_background",  # of a class and its background: the class's F1
        "F1 of lesion pixels",
        "Table 2",
        {"dice_macro_no_background": "f1"},
        of="udh",
        names={
            "unet": "U-Net",
            "resnet50": "U-Net + ResNet50",
            "unet-densenet121": "U-Net + DenseNet121 of the classifier",
            "unet-paper": "U-Net, cross-entropy alone, rate 1e-2",
            "unet-paper-1e-4": "U-Net, cross-entropy alone, rate 1e-4",
            "unet-paper-1e-5": "U-Net, cross-entropy alone, rate 1e-5",
            "unet-paper-1e-6": "U-Net, 50 epochs",
            "unet-paper-1e-6-100": "U-Net, 100 epochs",
            "resnet50-paper": "U-Net + ResNet50, 100 epochs",
            "unet-densenet121-paper": "U-Net + DenseNet121 of the classifier, cross-entropy alone, rate 1e-6",
        },
    ),
    "bach": Headline(
        "is this image normal, benign, in situ or invasive",
        "accuracy",
        "accuracy",
        "text",
        {"accuracy": "accuracy"},
        side="validation",
        names={"resnet50": "Mask R-CNN ResNet50", "resnet101": "Mask R-CNN ResNet101"},
    ),
}

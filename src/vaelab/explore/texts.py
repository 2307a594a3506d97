"""Every sentence of the page, in English and in Chinese."""

from collections.abc import Mapping

LANGUAGES: Mapping[str, str] = {"en": "English", "zh": "中文"}

# name: (English, Chinese). The names of metrics and options are the same in both.
TEXTS: Mapping[str, tuple[str, str]] = {
    # the views
    "draw": ("Draw", "绘制"),
    "move": ("Move", "调节"),
    "map": ("Map", "地图"),
    "compare": ("Compare", "比较"),
    "sweep": ("Sweep", "扫描"),
    "draw_says": (
        "The encoder maps your image x to the posterior q(z|x); samples z of it are decoded to the mean of p(x|z).",
        "编码器把图像 x 映射为后验 q(z|x)；从中采样的 z 再解码为 p(x|z) 的均值。",
    ),
    "move_says": (
        "Each slider is one latent; the image is the mean of p(x|z) for the vector z of all of them.",
        "每个滑块对应一个隐变量；图像是所有隐变量组成的向量 z 给出的 p(x|z) 的均值。",
    ),
    "components_says": (
        "The latent is one of M components m; the image is the mean of p(x|m).",
        "隐变量是 M 个分量之一 m；图像是 p(x|m) 的均值。",
    ),
    "map_says": (
        "Each point is the posterior mean E[z|x] of a test image in a plane of the latent space; any point of it "
        "is decoded to the mean of p(x|z).",
        "每个点是一张测试图像的后验均值 E[z|x] 在隐空间某个平面上的位置；平面上任意一点都可解码为 p(x|z) 的均值。",
    ),
    "compare_says": (
        "Several models encode and decode the same image x with the same noise ε.",
        "多个模型用相同的噪声 ε 对同一张图像 x 编码和解码。",
    ),
    "sweep_says": (
        "Each point is a configuration by its rate KL(q(z|x) ‖ p(z)) and its distortion −E log p(x|z), in nats.",
        "每个点是一种配置：横轴为码率 KL(q(z|x) ‖ p(z))，纵轴为失真 −E log p(x|z)，单位为 nat。",
    ),
    "docs": ("More in the documentation", "详见文档"),
    "run": ("run", "运行"),
    "class": ("class y", "类别 y"),
    # Draw
    "input": ("Draw, or pick an image", "绘制或选择图像"),
    "pick": ("Pick an image", "选择图像"),
    "canvas": ("Canvas: draw with mouse, finger or pen; Delete clears", "画布：用鼠标、手指或笔绘制；按 Delete 清除"),
    "clear": ("Clear", "清除"),
    "test_images": ("test images", "测试图像"),
    "test_image": ("test image of class {label}", "类别 {label} 的测试图像"),
    "all": ("all", "全部"),
    "no_images": ("The run's test images are not on this machine.", "本机没有该运行的测试图像。"),
    "file": ("A file of your own", "自己的文件"),
    "choose_file": ("Image file", "图像文件"),
    "invert": ("dark on light", "浅底深色"),
    "too_large": ("The file is larger than {limit} MiB, or no image.", "文件大于 {limit} MiB，或不是图像。"),
    "result": ("Result", "模型的结果"),
    "image": ("image x", "图像 x"),
    "reconstruction": ("reconstruction from the mean of q(z|x)", "重构（q(z|x) 的均值）"),
    "reconstruction_short": ("reconstruction", "重构"),
    "samples": ("decoded samples of q(z|x)", "q(z|x) 的样本解码结果"),
    "posterior": ("Posterior q(z|x)", "后验 q(z|x)"),
    "bars_note": (
        "mean ± standard deviation of each latent; on the right its KL term in nats, largest on average first. ",
        "每个隐变量的均值 ± 标准差；右侧为其 KL 项（nat），按平均值从大到小排列。",
    ),
    "bars_note_plain": ("mean ± standard deviation of each latent. ", "每个隐变量的均值 ± 标准差。"),
    "code_note": (
        "This encoder gives a point, without a standard deviation; the latents that vary most over images come first. ",
        "该编码器给出一个点，没有方差；编码变化最大的隐变量排在最前。",
    ),
    "collapsed_note": (
        "Grey: {count} collapsed, below 0.05 nats on average over test images.",
        "灰色：{count} 个已坍缩，测试图像上平均低于 0.05 nat。",
    ),
    "components_note": ("P(m|x) of each component m; the largest first", "各分量 m 的概率 P(m|x)，从大到小"),
    "empty": ("There is no image yet: draw one, or pick one.", "还没有图像：请绘制或选择一张。"),
    "more": ("the other latents", "其余隐变量"),
    "nll": ("−log p(x) by importance sampling", "用重要性采样估计 −log p(x)"),
    "nll_value": ("nll = {value} ± {error} nats, from 1,000 samples", "nll = {value} ± {error} nat，1,000 个样本"),
    "elbo": ("ELBO (nats)", "证据下界 ELBO（nat）"),
    "rate": ("rate (nats)", "码率（nat）"),
    "distortion": ("distortion (nats)", "失真（nat）"),
    # Move
    "decoded": ("decoded image", "解码图像"),
    "latents": ("Latents z", "隐变量 z"),
    "components": ("Components: choose one", "分量：请选择"),
    "prior_mean": ("Mean of the prior", "先验均值"),
    "code_mean": ("Mean of test images", "编码均值"),
    "posterior_mean": ("Mean of q(z|x)", "q(z|x) 的均值"),
    "prior_sample": ("Sample the prior", "从先验采样"),
    "code_sample": ("Latents of a test image", "测试图像的编码"),
    "temperature": ("temperature T: a sample of the prior times T", "温度 T：先验样本乘以 T"),
    "lower": ("z₁, next to the image", "z₁，靠近图像"),
    "upper": ("z₂; z₁ is the mean of p(z₁|z₂)", "z₂；z₁ 取 p(z₁|z₂) 的均值"),
    "is_collapsed": ("collapsed: the image hardly depends on it", "已坍缩：图像几乎不依赖它"),
    "more_latents": ("{count} more latents", "另外 {count} 个隐变量"),
    # Map
    "map_label": (
        "Map of latents: arrow keys move the pointer, Enter decodes, + and - zoom, 0 shows all",
        "隐变量地图：方向键移动指针，Enter 解码，+ 和 - 缩放，0 显示全部",
    ),
    "map_note": (
        "{count:,} test images, coloured by class. Wheel or pinch zooms; drag a line between two images for paths. ",
        "{count:,} 张测试图像，按类别着色。滚轮或双指缩放；在两张图像之间拖线可得到路径。",
    ),
    "contours_note": ("Circles: 1, 2 and 3 standard deviations of the prior.", "圆圈：先验的 1、2、3 倍标准差。"),
    "shadows_note": ("Grey: samples of the prior.", "灰点：先验的样本。"),
    "pca": ("PCA of the posterior means", "后验均值的 PCA"),
    "plane": ("plane", "平面"),
    "whole": ("Show all", "显示全部"),
    "under_pointer": ("Under the pointer", "指针处"),
    "nearest": ("nearest test image", "最近的测试图像"),
    "paths": ("Paths between two images", "两张图像之间的路径"),
    "paths_note": (
        "Pixels are mixed; line and arc lead through z; along the decoder's shortest path the image changes least.",
        "像素：逐像素混合；直线与弧线经过 z；解码器最短路径上图像变化最小。",
    ),
    "pixels": ("pixels", "像素"),
    "line": ("line", "直线"),
    "arc": ("arc", "弧线"),
    "decoder": ("decoder", "解码器"),
    # Compare
    "left_out": ("{count} open runs have images of another shape.", "{count} 个已打开的运行图像尺寸不同。"),
    "other_nats": (
        "These runs differ in likelihood or data, so their nats have different zeros: compare images, not nats.",
        "这些运行的似然或数据不同，nat 的零点不同：请比较图像，不要比较 nat。",
    ),
    "prior_samples": ("samples of the prior", "先验样本"),
    "used": ("latents in use", "使用中的隐变量"),
    # Sweep
    "sweep_label": (
        "Rate-distortion plane: arrow keys move the pointer, Enter opens a configuration",
        "码率-失真平面：方向键移动指针，Enter 打开配置",
    ),
    "sweep_note": (
        "Dashed lines have one ELBO each. Point at a configuration to see its images; click it to open it.",
        "每条虚线上的 ELBO 相同。指向一种配置可查看其图像；点击可打开。",
    ),
    "rate_axis": ("rate (nats)", "码率（nat）"),
    "distortion_axis": ("distortion (nats)", "失真（nat）"),
    "point": (
        "rate {rate}, distortion {distortion}, ELBO {elbo} nats",
        "码率 {rate}，失真 {distortion}，ELBO {elbo} nat",
    ),
    "originals": ("test images", "测试图像"),
    "reconstructions": ("reconstructions", "重构"),
    "open": ("Open in the other views", "在其他视图中打开"),
    "axes": ("Swept options", "扫描的选项"),
    "one_configuration": ("There is one configuration here.", "此处只有一种配置。"),
    # what fails
    "bug": ("{error}: a bug; the terminal has its traceback", "{error}：程序错误；终端中有调用栈"),
}  # fmt: skip


class Texts:
    """The sentences in one language.

    **Arguments**
        language: ``en`` or ``zh``.

    **Example**

        >>> Texts("en")("test_image", label=3)
        'test image of class 3'
    """

    def __init__(self, language: str) -> None:
        self.language = language
        self._column = list(LANGUAGES).index(language)

    def __call__(self, name: str, **values: object) -> str:
        return TEXTS[name][self._column].format(**values)


def language_of(header: str, wanted: str = "") -> str:
    """The language of the page, from a browser's header Accept-Language; ``wanted`` goes before it.

    >>> language_of("zh-CN,zh;q=0.9,en;q=0.8"), language_of("de-DE,de;q=0.9"), language_of("zh-CN", "en")
    ('zh', 'en', 'en')
    >>> language_of("fr;q=0.9,zh;q=0.3,en;q=0.7")
    'en'
    """
    if wanted in LANGUAGES:
        return wanted
    ranked = sorted(map(_preference, header.split(",")), reverse=True)
    return next((language for _, language in ranked if language in LANGUAGES), "en")


def _preference(entry: str) -> tuple[float, str]:
    """``zh-CN;q=0.9`` as (0.9, zh)."""
    tag, _, quality = entry.partition(";q=")
    try:
        weight = float(quality or 1)
    except ValueError:
        weight = 0.0
    return weight, tag.strip().partition("-")[0].lower()
